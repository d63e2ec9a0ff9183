"""`celery -A app.worker worker`, `beat` and `flower`: tasks in processes of their own, on Redis."""

from __future__ import annotations

import os
import sys

from app.core.config import Settings, load_settings
from app.main import create_app
from strongback.config import WELL_KNOWN_SECRETS
from strongback.exceptions import ConfigurationError
from strongback.task.celery_app import TaskCelery
from strongback.task.celery_worker import build_worker
from strongback.task.dispatcher import Dispatcher

FLOWER_VARIABLE = "FLOWER_BASIC_AUTH"
"""Read by Flower; an argument would be visible in the list of processes."""


def build(settings: Settings, arguments: list[str]) -> TaskCelery:
    """Return the application of the `celery` command.

    Args:
        settings: Address of the broker, and user of Flower.
        arguments: Arguments of the command.

    Raises:
        ConfigurationError: There is no broker, or Flower has no safe password.
    """
    if settings.broker_address is None:
        raise ConfigurationError(
            "CELERY_BROKER_URL: neither it nor REDIS_URL is set, so there is no broker to take"
            " tasks from. Set it to redis://host:6379/0. Without a broker no worker is needed: the"
            " web server (make run) runs the tasks itself."
        )
    if "flower" in arguments:
        os.environ[FLOWER_VARIABLE] = flower_login(settings)
    return build_worker(lambda: create_app(settings).services[Dispatcher])


def flower_login(settings: Settings) -> str:
    """Return `user:password` for Flower's pages.

    Raises:
        ConfigurationError: The password is missing or well known.
    """
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


try:
    celery = build(load_settings(), sys.argv)
except ConfigurationError as error:
    # Celery would wrap it into a traceback; a person reads this.
    sys.exit(str(error))
