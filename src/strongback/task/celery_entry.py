"""The entry point of the `celery` command, in three lines of an application.

    celery = make_celery(load_settings, create_app)

Its processes are `worker`, `beat` and `flower`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TypeVar

from strongback.app import Strongback
from strongback.config import WELL_KNOWN_SECRETS, Settings
from strongback.exceptions import ConfigurationError
from strongback.task.celery_app import TaskCelery
from strongback.task.celery_worker import build_worker
from strongback.task.dispatcher import Dispatcher

SettingsT = TypeVar("SettingsT", bound=Settings)

FLOWER_VARIABLE = "FLOWER_BASIC_AUTH"
"""Read by Flower when its command begins; an argument would show in the list of processes."""


def make_celery(
    load_settings: Callable[[], SettingsT], create_app: Callable[[SettingsT], Strongback]
) -> TaskCelery:
    """Return what `celery -A module` finds in a module; the application is built in each process.

    Where it cannot start, the process ends with one line: Celery would print a traceback.
    """
    try:
        settings = load_settings()
        _require_broker(settings)
        if "flower" in sys.argv:
            os.environ[FLOWER_VARIABLE] = flower_login(settings)
        return build_worker(lambda: create_app(settings).services[Dispatcher])
    except ConfigurationError as error:
        sys.exit(str(error))


def _require_broker(settings: Settings) -> None:
    if settings.broker_address is None:
        raise ConfigurationError(
            "CELERY_BROKER_URL: neither it nor REDIS_URL is set, so there is no broker to take"
            " tasks from. Set it to redis://host:6379/0. Without a broker no worker is needed: the"
            " web server runs the tasks itself."
        )


def flower_login(settings: Settings) -> str:
    """Return `user:password` for Flower's pages; refuses one that is missing or well known."""
    password = settings.flower_password.get_secret_value()
    if not password or (settings.is_production and password in WELL_KNOWN_SECRETS):
        raise ConfigurationError(
            "FLOWER_PASSWORD: not set or well known, and whoever opens Flower can stop workers."
            ' Set it to the output of: python3 -c "import secrets; print(secrets.token_urlsafe())"'
        )
    if "," in password or not password.isascii():
        # It would take what stands before the comma for a password, and cannot compare the rest.
        raise ConfigurationError("FLOWER_PASSWORD: Flower takes ASCII without commas alone")
    user = settings.flower_user
    if not user or set(":,") & set(user) or not user.isascii():
        raise ConfigurationError("FLOWER_USER: must be an ASCII name without a colon or comma")
    return f"{settings.flower_user}:{password}"
