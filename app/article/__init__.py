"""Articles in Markdown: written, imported, searched and liked."""

from __future__ import annotations

from pathlib import Path

from app.article import cli, event, image_task, page, search_view, task, view
from app.article.archive import ArchiveImports
from app.article.image import IMAGE, ArticleImages
from app.article.index import ArticleSearch, ArticleSource
from app.article.live import LiveArticles
from app.article.model import Article
from app.article.node import ArticleNode, ArticlePages
from app.article.page_node import ArticleReading
from app.article.removal import ArticleRemoval
from app.article.sample import add_samples
from app.article.search_node import SearchAnswers
from app.article.service import LIKES, Accounts, ArticleService
from app.article.tag import TagCounts
from app.article.view_count import ViewCounter
from strongback.app import Strongback
from strongback.cache import Warmer
from strongback.file import Files
from strongback.notification import Notifications
from strongback.realtime import Realtime
from strongback.search import Search
from strongback.task import Jobs, TaskRegistry
from strongback.upload import Uploads

__all__ = ["add_samples", "register"]


def register(app: Strongback, users: Accounts) -> ArticleService:
    """Add articles to the application. Needs the parts `task` and `search`."""
    services, database = app.services, app.database
    notifications = services.find(Notifications)
    if notifications is not None:
        notifications.declare(LIKES)
    articles = ArticleService(database, users, app.outbox, notifications)
    if realtime := services.find(Realtime):
        articles.live = LiveArticles(realtime, articles.find_open)
    pages = ArticlePages(database, app.cache)
    views, search = ViewCounter(database), services[Search]
    answers = SearchAnswers(ArticleSearch(search), app.cache)
    app.translations.add(Path(__file__).with_name("translation"))
    app.background.add(views)
    app.outbox.declare(event.__name__, event.CHANGED, event.LIKED, event.PUBLISHED, event.REMOVED)
    app.provide(articles, pages, views, answers, TagCounts(database), ArticleRemoval(database))
    translate = app.translations.translate
    app.provide(ArchiveImports(articles, services[Uploads], services[Jobs], translate))
    pages.watch(app.invalidator)
    app.filter_unknown("article", ArticleNode, Article, lambda row: row.slug, pages.all_slugs)
    app.cache_maintenance.warmers.append(
        Warmer("public articles", pages.count, pages.slugs, pages.warm)
    )
    search.add(ArticleSource(database), answers.forget)
    services[TaskRegistry].add(task.group)
    if files := services.find(Files):
        files.declare(IMAGE)
        app.provide(ArticleImages(database, files))
        services[TaskRegistry].add(image_task.group)
    for api in (view.api, view.tags_api, search_view.api):
        app.register_api(api)
    app.cli.add_command(cli.group)
    _register_pages(app, pages)
    return articles


def _register_pages(app: Strongback, articles: ArticlePages) -> None:
    folder = Path(__file__).parent
    app.pages.add("article", folder / "template")
    app.static_files.add("article", folder / "static", entries=["live.js"])
    app.pages.link("/", "Articles")
    app.pages.link("/tags", "Tags")
    app.pages.link("/authors", "Authors")
    app.pages.link("/docs", "API")
    app.pages.search = "/search"
    app.provide(ArticleReading(app.database, app.cache, app.pages, articles))
    app.register_blueprint(page.pages)
