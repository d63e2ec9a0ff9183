"""The composition root: the only module that knows every part, and joins them."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable
from typing import Any

import click
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm.exc import StaleDataError

import app.article.cli as article_cli
import app.article.view as article_view
import app.comment.view as comment_view
import app.user.cli as user_cli
import app.user.view as user_view
from app.article.service import ArticleService
from app.comment.service import CommentService
from app.core.auth.authenticator import Authenticator
from app.core.auth.oauth import OAuthServer
from app.core.auth.session.service import SessionService
from app.core.auth.token import AccessTokens
from app.core.config import ROOT, Settings, load_settings
from app.core.database import Database
from app.core.database.answer import answer_for
from app.core.exceptions import ConfigurationError, PreconditionFailed, ServiceUnavailable
from app.core.idempotency import Idempotency
from app.core.log_config import configure_logging
from app.core.migration import init_migrations, pending, upgrade
from app.core.redis_client import RedisClient
from app.core.web import (
    APIFlask,
    init_cors,
    init_health,
    init_limits,
    init_metrics,
    oauth_cli,
)
from app.core.web.health import Check
from app.core.web.idempotency import group as idempotency_cli
from app.core.web.oauth import init_oauth
from app.demo import announce, prepare
from app.serve import check_start, serve
from app.user.account import AccountService
from app.user.service import UserService

WSGIApp = Callable[[dict[str, Any], Any], Iterable[bytes]]


def create_app(settings: Settings | None = None) -> APIFlask:
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


def _build(settings: Settings) -> APIFlask:
    configure_logging(settings)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    app = APIFlask("app", settings, title="Groundwork", version=project["version"])
    database = Database(settings)
    _provide_services(app, database)
    _register_routes(app, database)
    _register_commands(app)
    return app


def _provide_services(app: APIFlask, database: Database) -> None:
    users = UserService(database)
    articles = ArticleService(database, users)
    app.provide(database, users, articles, CommentService(database, articles))
    app.wsgi_app = _in_scope(app.wsgi_app, database)  # type: ignore[method-assign,assignment]  # as Flask's docs wrap it
    app.provide(Idempotency(database))
    app.register_error_source(SQLAlchemyError, answer_for)
    app.register_error_source(StaleDataError, lambda _: PreconditionFailed())
    init_migrations(app, database)
    _provide_auth(app, database, users)


def _provide_auth(app: APIFlask, database: Database, users: UserService) -> None:
    sessions = SessionService(database, users)
    address = app.settings.address
    tokens = AccessTokens(address, f"{address}/api/v1", app.settings.secrets)
    server = OAuthServer(users, sessions, tokens)
    authenticator = Authenticator(tokens, sessions)
    app.provide(sessions, server, authenticator, AccountService(database, users, sessions))
    init_oauth(app, authenticator)


def _in_scope(wsgi_app: WSGIApp, database: Database) -> WSGIApp:
    """Give every request one unit of work, closed before its answer is sent."""

    def scoped(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:  # noqa: ANN401
        with database.scope():
            return wsgi_app(environ, start_response)

    return scoped


def _register_routes(app: APIFlask, database: Database) -> None:
    for view in (user_view, article_view, comment_view):
        app.register_api(view.api)
    init_metrics(app, app.settings.prometheus_multiproc_dir)
    redis = _connect_redis(app.settings)
    init_limits(app, app.settings, redis)
    init_cors(app, app.settings.web_cors_origins)
    checks: dict[str, Check] = {
        "database": database.ping,
        "migrations": lambda: _check_schema(app),
    }
    init_health(app, checks, optional={"redis": redis.ping} if redis else None)


def _connect_redis(settings: Settings) -> RedisClient | None:
    if settings.redis_url is None:
        return None
    # A thread needs one connection at a time; two more are for the watcher and the probes.
    return RedisClient(settings.redis_url, connections=settings.web_threads + 2)


def _check_schema(app: APIFlask) -> None:
    if lacking := pending(app):
        raise ServiceUnavailable(
            "The database lacks migrations: {names}.", params={"names": lacking}
        )


def _register_commands(app: APIFlask) -> None:
    app.cli.add_command(user_cli.group)
    app.cli.add_command(oauth_cli.group)
    app.cli.add_command(article_cli.group)
    app.cli.add_command(idempotency_cli)

    @app.cli.command("serve")
    @click.option("--demo", is_flag=True, help="First migrate, make demo accounts, import docs/.")
    def serve_command(demo: bool) -> None:  # noqa: FBT001  click calls it by name
        """Start the web server that WEB_SERVER names, in place of this process."""
        try:
            check_start(app.settings)
            if demo:
                upgrade(app)
                announce(app.settings, prepare(app))
            serve(app.settings)
        except ConfigurationError as error:
            raise click.ClickException(str(error)) from None
