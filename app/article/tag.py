"""Tags: what they carry for lists, and how many published articles have each.

As with views, a write records its changes in rows of its own, which no other writer waits for. A
periodic task adds them up, and readers include those that are not added up yet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, inspect, select, update
from sqlalchemy.orm import Session

from app.article.model import Article, ArticleTag, Tag, TagChange
from strongback.database import Database, transactional, utc_now

BATCH = 1000
"""Changes added up per transaction."""
Tagged = set[tuple[str, datetime]]
"""Tags of an article, each with its publication date."""


def keep_tags(session: Session, *_: object) -> None:
    """Write what tags carry and count together with their articles; listens to `before_flush`."""
    changes: list[dict[str, Any]] = []
    for row in (*session.new, *session.dirty, *session.deleted):
        if isinstance(row, Article):
            if row not in session.deleted:
                _date(session, row)
                row.carry()
            changes += _changes(session, row)
    if changes:
        session.execute(insert(TagChange), changes)


def _date(session: Session, article: Article) -> None:
    """Fill the moments that the flush would fill too late for tags to carry them."""
    now = utc_now()
    if article in session.new:
        article.created_at = article.updated_at = now
    elif session.is_modified(article) and not _history(article, "updated_at").added:
        article.updated_at = now


def _changes(session: Session, article: Article) -> Iterator[dict[str, Any]]:
    before, after = _tagged(session, article)
    for step, tagged in ((-1, before - after), (1, after - before)):
        yield from ({"name": name, "step": step, "due_at": due} for name, due in sorted(tagged))


def _tagged(session: Session, article: Article) -> tuple[Tagged, Tagged]:
    """An article's tags before and after this flush."""
    moments, rows = _history(article, "published_at"), _history(article, "tag_rows")
    before = None if article in session.new else next(iter(moments.non_added()), None)
    after = None if article in session.deleted else article.published_at
    return _dated(rows.non_added(), before), _dated(rows.non_deleted(), after)


def _dated(rows: Iterable[ArticleTag], moment: datetime | None) -> Tagged:
    return {(row.name, moment) for row in rows} if moment else set()


def _history(article: Article, name: str) -> Any:  # noqa: ANN401  of whatever type it is
    return inspect(article).attrs[name].load_history()


def top_tags(session: Session, limit: int) -> list[tuple[str, int]]:
    """The tags of published articles with their numbers, most used first."""
    steps: Counter[str] = Counter()
    waiting = select(TagChange.name, func.sum(TagChange.step)).where(TagChange.due_at <= utc_now())
    for name, step in session.execute(waiting.group_by(TagChange.name)):
        steps[name] = int(step)
    # Each of those that wait may push one out, so that as many more can be needed.
    kept = select(Tag.name, Tag.articles).order_by(Tag.articles.desc(), Tag.name)
    counts = Counter(dict(session.execute(kept.limit(limit + len(steps))).all()))
    ours = select(Tag.name, Tag.articles).where(Tag.name.in_(steps.keys() - counts.keys()))
    counts.update(dict(session.execute(ours).all()))
    counts.update(steps)
    most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [(name, count) for name, count in most[:limit] if count > 0]


class TagCounts:
    """Adds up the recorded changes."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def add_up(self) -> int:
        """Add due changes to the counts; returns their number."""
        total = 0
        while count := self._add_up_batch():
            total += count
        return total

    @transactional
    def _add_up_batch(self) -> int:
        session = self.database.session
        due = select(TagChange).where(TagChange.due_at <= utc_now()).order_by(TagChange.due_at)
        # Another one that adds up at this moment takes other rows.
        rows = session.scalars(due.limit(BATCH).with_for_update(skip_locked=True)).all()
        steps: Counter[str] = Counter()
        for row in rows:
            steps[row.name] += row.step
        if steps:
            self._add(session, steps)
            session.execute(delete(TagChange).where(TagChange.id.in_([row.id for row in rows])))
        return len(rows)

    def _add(self, session: Session, steps: Counter[str]) -> None:
        known = set(session.scalars(select(Tag.name).where(Tag.name.in_(steps))))
        rows = [{"tag": name, "more": steps[name]} for name in sorted(steps)]
        connection = session.connection()
        if old := [row for row in rows if row["tag"] in known]:
            add = update(Tag).where(Tag.name == bindparam("tag"))
            connection.execute(add.values(articles=Tag.articles + bindparam("more")), old)
        if new := [row for row in rows if row["tag"] not in known]:
            values = [{"name": row["tag"], "articles": row["more"]} for row in new]
            connection.execute(insert(Tag), values)
        session.execute(delete(Tag).where(Tag.name.in_(steps), Tag.articles == 0))
