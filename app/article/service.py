"""The articles."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, Protocol

from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import undefer_group

from app.article.content import (
    Draft,
    Fields,
    RenderedText,
    TextMoved,
    needs_text,
    slug_from,
    vary_slug,
    write,
)
from app.article.event import ArticleEvents
from app.article.exceptions import ArticleNotFound, SlugTaken
from app.article.live import LiveArticles
from app.article.model import Article, ArticleLike, ArticleState, state_of
from app.article.query import is_published, is_visible, walks_of
from app.article.removal import is_at_once, take_away
from app.article.schema import ArticleQuery
from app.article.tag import keep_tags
from app.core.permission import Permission
from strongback.auth.principal import Principal
from strongback.database import Database, changed_rows, is_duplicate, transactional, utc_now
from strongback.exceptions import Conflict, Forbidden
from strongback.notification.kind import Kind, Way
from strongback.notification.sender import Notifications
from strongback.outbox import Outbox
from strongback.paging import Window, walk_page
from strongback.precondition import Expected

SLUG_TRIES = 5
TEXT_TRIES = 5
"""Attempts at rendering a text that is changed meanwhile."""
Counter = Literal["likes", "comments"]
LIKES = Kind(
    "article:liked",
    about="People like an article of yours; told once an hour at most.",
    text="{count} people like “{title}”.",
    variants={"count=1": "{actor} likes “{title}”."},
    off=(Way.MAIL,),
)


class Accounts(Protocol):
    """The interface to accounts."""

    def exists(self, username: str) -> bool:
        """Whether a username exists."""
        ...

    def may(self, username: str, permission: Permission) -> bool:
        """Whether an account currently has a permission."""
        ...

    def ensure_system_account(self, username: str) -> None:
        """Create an author without a password, unless the username exists."""
        ...


class ArticleService:
    """Reads and writes articles.

    Args:
        database: Stores the articles.
        accounts: Looks up accounts.
        outbox: Takes events.
        notifications: Notifies people; None to notify nobody.
    """

    def __init__(
        self,
        database: Database,
        accounts: Accounts,
        outbox: Outbox,
        notifications: Notifications | None = None,
    ) -> None:
        self.database = database
        self.accounts = accounts
        self.live: LiveArticles | None = None
        """Publishes to readers, if the application has realtime."""
        self._events = ArticleEvents(outbox)
        self._notifications = notifications
        database.listen("before_flush", keep_tags)

    # Reading

    def validators(self, slug: str, by: Principal | None = None) -> ArticleState | None:
        """Validators of an article, read without its text; None if the caller cannot see it."""
        columns = select(
            Article.id,
            Article.version,
            Article.likes,
            Article.comments,
            Article.updated_at,
            Article.counted_at,
            Article.published_at,
            Article.language,
        )
        row = self.database.session.execute(
            columns.where(Article.slug == slug, is_visible(by))
        ).one_or_none()
        return state_of(row) if row else None

    def get(self, slug: str, by: Principal | None = None) -> Article:
        """An article with its text: a published one, or a draft that the caller may see.

        Raises:
            ArticleNotFound: No such article is visible.
        """
        query = select(Article).where(Article.slug == slug, is_visible(by))
        article = self.database.session.scalar(query.options(undefer_group("content")))
        if article is None:
            raise ArticleNotFound
        return article

    def locate(self, slug: str) -> int:
        """The id of a published article.

        Raises:
            ArticleNotFound: No such article is visible.
        """
        query = select(Article.id).where(Article.slug == slug, is_published())
        number = self.database.session.scalar(query)
        if number is None:
            raise ArticleNotFound
        return number

    def is_open(self, number: int) -> bool:
        """Whether the article with an id is published."""
        query = select(Article.id).where(Article.id == number, is_published())
        return self.database.session.scalar(query) is not None

    def find_open(self, number: int) -> Article | None:
        """The published article with an id, without its text."""
        return self.database.session.scalar(
            select(Article).where(Article.id == number, is_published())
        )

    def list(self, wanted: ArticleQuery) -> Window[Article]:
        """A part of the list of published articles, without their texts."""
        query = select(Article).where(is_published())
        return walk_page(self.database.session, query, walks_of(wanted), wanted)

    def find_by_slug(self, slug: str) -> Article | None:
        """An article with its text, published or not."""
        query = select(Article).where(Article.slug == slug)
        return self.database.session.scalar(query.options(undefer_group("content")))

    def find(self, number: int) -> Article | None:
        """An article without its text, published or not."""
        return self.database.session.get(Article, number)

    def facts(self, number: int) -> tuple[str, dict[str, str]]:
        """The author of an article, and its `slug` and `title`, for notifications."""
        article = self.database.session.get_one(Article, number)
        return article.author, {"slug": article.slug, "title": article.title}

    # Writing

    def create(self, fields: Fields, author: str) -> Article:
        """Create an article; the default slug is made from its title.

        Raises:
            SlugTaken: Another article has the slug.
        """
        return self._insert(fields, RenderedText.of(fields.get("body", "")), author)

    def change(self, slug: str, fields: Fields, expected: Expected, by: Principal) -> Article:
        """Change fields of an article, which gets a new version.

        Raises:
            ArticleNotFound: The article does not exist, or is not visible to the caller.
            Forbidden: The article belongs to another account.
            PreconditionFailed: The article has changed since it was read.
            SlugTaken: Another article has the new slug.
        """
        for _ in range(TEXT_TRIES):
            text = self._render(slug, fields, by) if needs_text(fields) else None
            try:
                return self._change(slug, fields, text, expected, by)
            except TextMoved:
                continue  # somebody has written another text meanwhile
        raise Conflict

    def _render(self, slug: str, fields: Fields, by: Principal) -> RenderedText:
        """Render the new or current text before the transaction."""
        if "body" in fields:
            return RenderedText.of(fields["body"])
        self.database.session.rollback()  # what was written meanwhile is to be seen
        return RenderedText.of(self.get(slug, by).body)

    @transactional
    def delete(self, slug: str, expected: Expected, by: Principal) -> None:
        """Delete an article with its comments and likes; if there are many, a task deletes them.

        Raises:
            ArticleNotFound: The article does not exist, or is not visible to the caller.
            Forbidden: The article belongs to another account.
            PreconditionFailed: The article has changed since it was read.
        """
        article = self._lock(slug, by)
        expected.check(article.revision)
        if is_at_once(article):
            self.database.session.delete(article)
        else:
            take_away(article)
            self._events.removed(article.id)
        self._events.changed(article.id)

    def put(self, draft: Draft) -> Article:
        """Publish a new article, or update the one with the slug.

        It is announced only if its publication date is in the future: imported articles are old,
        and hundreds of notifications at once would not be useful.

        Raises:
            SlugTaken: An article of another author has the slug.
        """
        return self._put(draft, RenderedText.of(draft.body))

    @transactional
    def _put(self, draft: Draft, text: RenderedText | None) -> Article:
        article = self.find_by_slug(draft.slug)
        if article is None:
            # A moment of its own may lie ahead, and then it is not published yet.
            default = Fields(published_at=utc_now())
            fields = default | draft.fields()
            return self._insert(fields, text, draft.author, is_import=True)
        if article.author != draft.author:
            raise SlugTaken
        earlier = article.published_at
        write(article, draft.fields(), text)
        if self.database.session.is_modified(article):
            self._keep(article)
            self._events.written(article, earlier, is_import=True)
        return article

    @transactional
    def _insert(
        self, fields: Fields, text: RenderedText | None, author: str, *, is_import: bool = False
    ) -> Article:
        given = fields.get("slug")
        base = slug = given or slug_from(fields.get("title") or "")
        for _ in range(1 if given else SLUG_TRIES):
            article = Article(author=author)
            write(article, fields | Fields(slug=slug), text)
            if self._has_added(article):
                self._events.written(article, None, is_import=is_import)
                return article
            slug = vary_slug(base)
        raise SlugTaken

    def _has_added(self, article: Article) -> bool:
        try:
            with self.database.savepoint():
                self.database.session.add(article)
                self.database.session.flush()
        except IntegrityError as error:
            if is_duplicate(error):
                return False
            raise
        return True

    @transactional
    def _change(
        self,
        slug: str,
        fields: Fields,
        text: RenderedText | None,
        expected: Expected,
        by: Principal,
    ) -> Article:
        article = self._lock(slug, by)
        expected.check(article.revision)
        return self._amend(article, fields, text) if fields else article

    def _amend(self, article: Article, fields: Fields, text: RenderedText | None) -> Article:
        # Whatever the new values are: of several writers who saw one version, one succeeds.
        earlier = article.published_at
        write(article, fields, text)
        self._keep(article)
        self._events.written(article, earlier)
        return article

    def _keep(self, article: Article) -> None:
        article.updated_at = utc_now()
        try:
            self.database.session.flush()
        except IntegrityError as error:
            if is_duplicate(error):
                raise SlugTaken from None
            raise

    def _lock(self, slug: str, by: Principal) -> Article:
        """An article that the caller may change, locked until the end of the transaction."""
        query = select(Article).where(Article.slug == slug, is_visible(by)).with_for_update()
        article = self.database.session.scalar(
            query.options(undefer_group("content")), execution_options={"populate_existing": True}
        )
        if article is None:
            raise ArticleNotFound
        if article.author != by.username and not by.may(Permission.ARTICLE_MANAGE):
            raise Forbidden
        return article

    # Counting

    def is_liked(self, slug: str, username: str) -> bool:
        """Whether somebody likes a published article.

        Raises:
            ArticleNotFound: No such article is visible.
        """
        number = self.locate(slug)
        return self.database.session.get(ArticleLike, (number, username)) is not None

    @transactional
    def like(self, slug: str, username: str) -> None:
        """Like a published article; repeating it has no effect.

        Raises:
            ArticleNotFound: No such article is visible.
        """
        number = self._lock_counters(slug)
        session = self.database.session
        if session.get(ArticleLike, (number, username)) is None:
            self._events.liked(number)
            session.add(ArticleLike(article_id=number, username=username))
            self.count(number, "likes", 1)

    @transactional
    def unlike(self, slug: str, username: str) -> None:
        """Remove a like; without one it has no effect.

        Raises:
            ArticleNotFound: No such article is visible.
        """
        number = self._lock_counters(slug)
        query = delete(ArticleLike).where(
            ArticleLike.article_id == number, ArticleLike.username == username
        )
        if changed_rows(self.database.session, query):
            self.count(number, "likes", -1)

    @transactional
    def tell_likes(self, number: int, since: datetime) -> None:
        """Notify the author of the likes of an article since a moment, together."""
        # Locked, so that a like is counted here, or finds that it has to be told by the next one.
        article = self.database.session.get(Article, number, with_for_update=True)
        if not article or not article.published_at or self._notifications is None:
            return
        query = select(func.count(), func.min(ArticleLike.username)).where(
            ArticleLike.article_id == number,
            ArticleLike.created_at >= since,
            ArticleLike.username != article.author,
        )
        count, name = self.database.session.execute(query).one()
        _, facts = self.facts(number)
        if count:
            self._notifications.send(
                LIKES,
                f"article:{number}:{since:%Y%m%d%H%M%S%f}",
                to=[article.author],
                data=facts | {"count": count},
                actor=name if count == 1 else None,
            )

    @transactional
    def count(self, number: int, counter: Counter, step: int) -> None:
        """Change a counter of an article, but not its version.

        Raises:
            ArticleNotFound: The article was deleted meanwhile.
        """
        column = getattr(Article, counter)
        query = update(Article).where(Article.id == number)
        values = {counter: column + step, "counted_at": utc_now(), "updated_at": Article.updated_at}
        if not changed_rows(self.database.session, query.values(values)):
            raise ArticleNotFound
        article = self.database.session.get_one(Article, number, populate_existing=True)
        self.database.touch(article, counter, "counted_at")
        if self.live is not None:
            self.live.count(article)

    def tell(self, number: int, event: Mapping[str, Any]) -> None:
        """Publish an event to the readers of an article, which is locked, after the commit."""
        if self.live is not None:
            self.live.tell(number, event)

    def _lock_counters(self, slug: str) -> int:
        # Locking the article first gives all writers below it one order: no deadlocks.
        query = select(Article.id).where(Article.slug == slug, is_published())
        number = self.database.session.scalar(query.with_for_update())
        if number is None:
            raise ArticleNotFound
        return number
