"""The composition root: the only module that knows every part, and joins them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from importlib.metadata import version
from typing import Any, cast

import click
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm.exc import StaleDataError

import app.article.cli as article_cli
import app.article.search_view as article_search_view
import app.article.task as article_task
import app.article.view as article_view
import app.comment.view as comment_view
import app.notification.task as notification_task
import app.notification.view as notification_view
import app.user.cli as user_cli
import app.user.view as user_view
import strongback.cli.cache as cache_cli
import strongback.cli.oauth as oauth_cli
import strongback.cli.outbox as outbox_cli
import strongback.cli.search as search_cli
from app.article.archive import ArchiveImports
from app.article.index import ArticleSearch, ArticleSource
from app.article.model import Article
from app.article.node import ArticleNode, ArticlePages
from app.article.removal import ArticleRemoval
from app.article.search_node import ANSWERS, SearchAnswers
from app.article.service import ArticleService
from app.article.tag import TagCounts
from app.article.view_count import ViewCounter
from app.comment.node import CommentPages
from app.comment.service import CommentService
from app.core.config import Settings, load_settings
from app.core.permission import ROLES
from app.demo import announce, prepare, refuse_in_production
from app.notification.service import Articles, NotificationService
from app.user.account import AccountService
from app.user.follow import FollowService
from app.user.model import User
from app.user.node import UserNode, UserPages
from app.user.service import UserService
from strongback import maintenance
from strongback.app import Strongback
from strongback.auth.authenticator import Authenticator
from strongback.auth.session.service import SessionService
from strongback.auth.token import AccessTokens
from strongback.background import Background
from strongback.cache import (
    CacheCare,
    Changes,
    CompactSerializer,
    LocalStorage,
    Manager,
    NoStorage,
    RedisStorage,
    SharedBloom,
)
from strongback.cli.backup import init_backup
from strongback.cli.command import explain_errors, require_schema
from strongback.cli.doctor import Service, init_doctor
from strongback.cli.idempotency import group as idempotency_cli
from strongback.database import Database
from strongback.database.answer import answer_for
from strongback.exceptions import ConfigurationError, PreconditionFailed, ServiceUnavailable
from strongback.idempotency import Idempotency
from strongback.log.setup import configure_logging
from strongback.migration.runner import init_migrations, pending, upgrade
from strongback.oauth import OAuthServer, SmsCodeGrant
from strongback.oauth.view import init_oauth
from strongback.outbox import Outbox
from strongback.private import make_private_folder
from strongback.redis.client import RedisClient
from strongback.search import Search, build_engine
from strongback.server.serve import check_start, serve
from strongback.sms import SmsCodes, build_sender, sms_tasks
from strongback.sms.view import api as sms_api
from strongback.task import Jobs, Leases, Runner, TaskGroup, TaskRegistry
from strongback.task.process import TaskProcess
from strongback.task.view import api as task_api
from strongback.task.view import outbox_figures, outbox_gauges
from strongback.task.work import Work
from strongback.upload import Uploads
from strongback.web import (
    init_cache_metrics,
    init_cors,
    init_health,
    init_limits,
    init_metrics,
)
from strongback.web.health import Check
from strongback.web.translation import translate

TITLE = "Strongback"
APPLICATION = "app.main:create_app"
API = "/api/v1"
"""Where the framework's routes are mounted; those of a slice stand in its views."""
TASKS: tuple[TaskGroup, ...] = (article_task.group, notification_task.group, maintenance.group)
"""Every group of tasks."""
MEGABYTE = 1 << 20
KNOWN_NAMES = 1_000_000
"""Articles, and accounts, that the filters of known names are made for: 1.2 MB in Redis each."""

WSGIApp = Callable[[dict[str, Any], Any], Iterable[bytes]]


def create_app(settings: Settings | None = None) -> Strongback:
    """Build the application.

    Args:
        settings: Everything that can be chosen; read from the environment when left out.

    Raises:
        ConfigurationError: A setting is missing or wrong.
    """
    try:
        return _build(settings or load_settings())
    except ConfigurationError as error:
        if click.get_current_context(silent=True) is None:
            raise
        # Under the `flask` command a person reads this: one line, no traceback.
        raise click.ClickException(str(error)) from None


def _build(settings: Settings) -> Strongback:
    configure_logging(settings)
    make_private_folder(settings.app_var_dir)
    app = Strongback("app", settings, title=TITLE, version=version("strongback"), roles=ROLES)
    database, redis = Database(settings), _connect_redis(settings)
    outbox = Outbox(database)
    _provide_cache(app, outbox, redis)
    _provide_services(app, database, outbox)
    _register_routes(app, database, redis)
    init_backup(app, settings, database)
    init_doctor(app, settings, database, list(_services(settings, redis)))
    _register_commands(app)
    return app


def _provide_tasks(app: Strongback, outbox: Outbox) -> None:
    database = outbox.database
    registry, jobs = TaskRegistry(outbox), Jobs(database, outbox)
    for group in TASKS:
        registry.add(group)
    runner = Runner(registry, outbox, jobs)
    leases = Leases(database)
    work = Work(app.settings, registry, runner, leases, app.app_context)
    tasks, background = TaskProcess(work, outbox), Background()
    background.add(tasks)
    app.provide(outbox, registry, jobs, runner, leases, tasks, background)


def _provide_cache(app: Strongback, outbox: Outbox, redis: RedisClient | None) -> None:
    settings, cache, database = app.settings, Manager(CompactSerializer()), outbox.database
    # Without Redis nobody tells other workers what has changed, so they may not remember it.
    is_alone = redis is None and settings.web_workers == 1
    keeps = is_alone or redis is not None
    for name, size, share in (("local", settings.cache_size, 7), ("search", ANSWERS, 1)):
        room = settings.cache_megabytes * MEGABYTE * share // 8
        cache.register_storage(name, LocalStorage(size, room=room) if keeps else NoStorage())
    cache.register_storage("redis", RedisStorage(redis) if redis else NoStorage())
    changes = Changes(database, cache, outbox)
    articles, users = ArticlePages(database, cache), UserPages(database, cache)
    comments = CommentPages(database, cache, articles.locate)
    app.provide(cache, changes, articles, users, comments)
    for pages in (articles, users, comments):
        pages.watch(changes)
    care = CacheCare(redis is not None, articles.count, articles.slugs, articles.warm)
    if redis is not None:
        filters = _guard(cache, changes, redis)
        rebuild = {
            "article": lambda: filters[0].rebuild(articles.all_slugs()),
            "user": lambda: filters[1].rebuild(users.all_names()),
        }
        care = replace(care, filters=rebuild)
    app.provide(care)


def _guard(cache: Manager, changes: Changes, redis: RedisClient) -> tuple[SharedBloom, SharedBloom]:
    """Put filters of the known names in front of the articles and accounts."""
    articles = SharedBloom(redis, "article", capacity=KNOWN_NAMES)
    users = SharedBloom(redis, "user", capacity=KNOWN_NAMES)
    cache.guard(ArticleNode, articles)
    cache.guard(UserNode, users)
    changes.guard_on(Article, articles, lambda article: [article.slug])
    changes.guard_on(User, users, lambda user: [user.username])
    return articles, users


def _provide_services(app: Strongback, database: Database, outbox: Outbox) -> None:
    _provide_tasks(app, outbox)
    users = UserService(database, TITLE)
    app.provide(database, users)
    _provide_slices(app, database, users, outbox)
    limit = app.settings.database_read_timeout
    app.wsgi_app = _in_scope(app.wsgi_app, database, limit)  # type: ignore[method-assign,assignment]  # as Flask's docs wrap it
    app.provide(Idempotency(database))
    app.register_error_source(SQLAlchemyError, answer_for)
    app.register_error_source(StaleDataError, lambda _: PreconditionFailed())
    folder = app.settings.ROOT / "migrations"
    init_migrations(app, database, folder, wait=app.settings.database_wait)
    _provide_auth(app, database, users, _provide_sms(app, outbox))


def _provide_slices(
    app: Strongback, database: Database, users: UserService, outbox: Outbox
) -> None:
    articles = ArticleService(database, users, outbox)
    comments = CommentService(database, articles)
    follows, uploads = FollowService(database, users), Uploads(database)
    views = ViewCounter(database)
    app.services[Background].add(views)
    app.provide(articles, comments, follows, uploads, views, TagCounts(database))
    app.provide(ArticleRemoval(database, [comments.clear]))
    app.provide(ArchiveImports(articles, uploads, app.services[Jobs], translate))
    cache: Manager = app.services[Manager]
    sources = [ArticleSource(database)]
    search = Search(build_engine(app.settings), sources, lambda _: answers.forget())
    answers = SearchAnswers(ArticleSearch(search), cache)
    app.provide(search, answers)
    audiences = (
        lambda article, after, limit: comments.commenters(article.id, after, limit),
        lambda article, after, limit: follows.followers(article.author, after, limit),
    )
    # pyright does not see that a column's attribute gives its value.
    known = cast("Articles", articles)
    kept = timedelta(days=cast("Settings", app.settings).notification_days)
    app.provide(NotificationService(database, outbox, known, audiences, kept))


def _provide_sms(app: Strongback, outbox: Outbox) -> SmsCodes:
    codes = SmsCodes(outbox.database, outbox, build_sender(app.settings), app.settings)
    registry: TaskRegistry = app.services[TaskRegistry]
    registry.add(sms_tasks(codes))
    app.provide(codes)
    app.register_api(sms_api, url_prefix=f"{API}/auth")
    return codes


def _provide_auth(app: Strongback, database: Database, users: UserService, codes: SmsCodes) -> None:
    sessions = SessionService(
        database, users, app.settings, look_up=app.services[UserPages].account
    )
    address = app.settings.address
    tokens = AccessTokens(address, f"{address}{API}", app.settings.secrets)
    server = OAuthServer(users, sessions, tokens, app.permissions)
    if codes.are_sent:
        server.register_grant(SmsCodeGrant.using(codes))
    authenticator = Authenticator(tokens, sessions)
    app.provide(sessions, server, authenticator, AccountService(database, users, sessions, codes))
    init_oauth(app, authenticator, f"{API}/auth")


def _in_scope(wsgi_app: WSGIApp, database: Database, read_limit: float) -> WSGIApp:
    """Give every request one unit of work, closed before its answer is sent."""

    def scoped(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:  # noqa: ANN401
        with database.scope(read_limit):
            return wsgi_app(environ, start_response)

    return scoped


def _register_routes(app: Strongback, database: Database, redis: RedisClient | None) -> None:
    views = (user_view, article_view, article_search_view, comment_view, notification_view)
    for api in (*(view.api for view in views), article_view.tags_api):
        app.register_api(api)
    app.register_api(task_api, url_prefix=f"{API}/tasks")
    outbox: Outbox = app.services[Outbox]
    folder, cache = app.settings.web_metrics_dir, app.services[Manager]
    publish = init_cache_metrics(app.access, cache.all_stats)
    if shared := init_metrics(app, folder, lambda: outbox_gauges(outbox), publish):
        app.services[Background].add(shared)
    init_limits(app, app.settings, redis)
    init_cors(app, app.settings.web_cors_origins)
    checks: dict[str, Check] = {
        "database": database.ping,
        "migrations": lambda: _check_schema(app),
    }
    search: Search = app.services[Search]
    optional: dict[str, Check] = {
        "outbox": lambda: outbox_figures(outbox),
        "search": search.engine.ping,
    }
    if redis:
        optional["redis"] = redis.ping
    init_health(app, checks, optional)


def _connect_redis(settings: Settings) -> RedisClient | None:
    if settings.redis_address is None:
        return None
    # A thread needs one connection at a time; two more are for the watcher and the probes, one is
    # for the cache's channel, and the cache and its filters keep two each.
    return RedisClient(settings.redis_address, connections=settings.web_threads + 9)


def _services(settings: Settings, redis: RedisClient | None) -> Iterator[Service]:
    if redis is not None:
        yield Service("Redis", "REDIS_URL", redis.ping)
    if settings.celery_broker_url:
        broker = RedisClient(settings.celery_broker_url, connections=1)  # connects when it is asked
        yield Service("The broker of the tasks", "CELERY_BROKER_URL", broker.ping)


def _check_schema(app: Strongback) -> None:
    if lacking := pending(app):
        raise ServiceUnavailable(
            "The database lacks migrations: {names}.", params={"names": lacking}
        )


def _register_commands(app: Strongback) -> None:
    app.cli.add_command(user_cli.group)
    app.cli.add_command(oauth_cli.group)
    app.cli.add_command(article_cli.group)
    app.cli.add_command(idempotency_cli)
    app.cli.add_command(outbox_cli.group)
    app.cli.add_command(search_cli.group)
    app.cli.add_command(cache_cli.group)

    @app.cli.command("demo")
    def demo_command() -> None:
        """Make the demo accounts and import docs/, as `make run` does. Refused in production."""
        refuse_in_production(app.settings)
        require_schema()
        announce(app.settings, prepare(app))

    @app.cli.command("serve")
    @click.option("--demo", is_flag=True, help="First migrate, make demo accounts, import docs/.")
    def serve_command(demo: bool) -> None:  # noqa: FBT001  click calls it by name
        """Start the web server that WEB_SERVER names, in place of this process."""
        if demo:
            refuse_in_production(app.settings)
        check_start(app.settings)
        if demo:
            upgrade(app)
            announce(app.settings, prepare(app))
        serve(app.settings, APPLICATION)

    explain_errors(app.cli)
