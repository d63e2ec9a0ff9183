"""What development shows on its pages: what runs, what to try, and one click that signs in.

None of it is there in production.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from app.core.config import ROOT
from app.core.permission import Role
from app.user.service import UserService
from strongback.address import is_loopback
from strongback.app import Strongback
from strongback.auth.exceptions import OAuthError
from strongback.config import Settings
from strongback.exceptions import NotFound
from strongback.oauth import sign_in_browser
from strongback.web import Response, inject, public
from strongback.web.edge import HOST
from strongback.web.page import PageLanguage
from strongback.web.request import Request, current_request

HERE = Path(__file__).parent
PROXY_HEADERS = (
    "Forwarded",
    "Via",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Real-IP",
)

users = inject(UserService)


class Running(NamedTuple):
    """A part of the application, and how it runs."""

    name: str
    how: str
    variable: str
    """Variable that has something else do it."""
    is_embedded: bool
    """Whether it needs no other server."""


def init_page(app: Strongback, accounts: Path) -> None:
    """Show the strip on pages, and let its buttons sign in.

    Args:
        app: The application; in development, and without a proxy.
        accounts: File of the demo accounts.
    """

    @public
    def sign_in_as(role: str) -> Response:
        """Sign this browser in with the demo account of a role."""
        request = current_request()
        known = _read(accounts)
        if role not in known or not is_local(request):
            raise NotFound
        account = users.account(users.get(known[role]["username"]).id)
        if account is None:
            raise NotFound
        try:
            return sign_in_browser(account, "demo")
        except OAuthError as error:
            raise NotFound from error

    app.add_url_rule("/demo/<role>", view_func=sign_in_as, methods=["POST"])
    app.static_files.add("demo", HERE / "static", entries=["demo.js"])
    app.translations.add(HERE / "translation")
    app.pages.add("demo", HERE / "template")
    app.pages.modules.append("demo/demo.js")
    app.pages.strip = lambda locale, path: app.pages.write(
        "demo/strip.html",
        PageLanguage(locale, is_chosen=False),
        path=path,
        alternates={},
        parts=[*_running(app.settings)],
        roles=[role for role in Role if role in _read(accounts)],
        file=_shown(accounts),
    )


def is_local(request: Request) -> bool:
    """Whether a request comes from this machine, straight and by a name of this machine.

    By another name it may come from a page of somebody who has had it resolve to this machine (DNS
    rebinding).
    """
    host = HOST.fullmatch(request.host)
    return (
        host is not None
        and is_loopback(host[1].strip("[]"))
        and is_loopback(request.remote_addr or "")
        and not any(name in request.headers for name in PROXY_HEADERS)
    )


def _read(path: Path) -> dict[str, dict[str, str]]:
    try:
        accounts: dict[str, dict[str, str]] = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    return accounts


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


def _running(settings: Settings) -> Iterator[Running]:
    is_alone = settings.redis_url is None
    yield Running(
        "Database", "SQLite" if settings.is_sqlite else "MySQL", "MYSQL_HOST", settings.is_sqlite
    )
    yield Running("Cache", "in the process" if is_alone else "Redis", "REDIS_URL", is_alone)
    has_broker = settings.broker_address is not None
    tasks = "Celery" if has_broker else "threads of the server"
    yield Running("Tasks", tasks, "CELERY_BROKER_URL", not has_broker)
    has_engine = settings.meili_url is not None
    yield Running(
        "Search", "Meilisearch" if has_engine else "an index in var", "MEILI_URL", not has_engine
    )
    is_on_disk = settings.file_store_url is None
    yield Running("Files", "in var" if is_on_disk else "a bucket", "FILE_STORE_URL", is_on_disk)
    if settings.centrifugo_url:
        yield Running("Live messages", "Centrifugo", "CENTRIFUGO_URL", is_embedded=False)
    else:
        live = "threads of the server" if is_alone else "Redis"
        yield Running("Live messages", live, "CENTRIFUGO_URL", is_alone)
    is_printed = settings.mail_url is None
    yield Running("Mail", "to the log" if is_printed else "SMTP", "MAIL_URL", is_printed)
    is_printed = settings.sms_secret_id is None
    yield Running(
        "Text messages", "to the log" if is_printed else "Tencent", "SMS_SECRET_ID", is_printed
    )
