"""What a fresh clone shows: an account for each role, and what slices add to it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypedDict

import click

from app.core.permission import Role
from app.demo import page
from app.user.service import UserService
from strongback.app import Strongback
from strongback.cli.command import require_schema
from strongback.cli.serve import start
from strongback.config import Environment, Settings
from strongback.exceptions import ConfigurationError
from strongback.migration.runner import upgrade
from strongback.server.serve import check_start

Samples = Callable[[Strongback, str], None]
"""Adds what a slice shows, as far as it is not there already; by the name of an author."""


def register(app: Strongback, *samples: Samples) -> None:
    """Add `flask demo`, the option `--demo` to `flask serve`, and what development shows."""

    @app.cli.command("demo")
    def demo_command() -> None:
        """Make the demo accounts and samples, as `make run` does. Refused in production."""
        refuse_in_production(app.settings)
        require_schema()
        announce(app.settings, prepare(app, samples))

    if app.settings.app_env is Environment.DEVELOPMENT and app.settings.web_proxies == 0:
        page.init_page(app, _accounts(app.settings))
    del app.cli.commands["serve"]  # the framework's, which the next one replaces

    @app.cli.command("serve")
    @click.option("--demo", is_flag=True, help="First migrate, make demo accounts and samples.")
    def serve_command(demo: bool) -> None:  # noqa: FBT001  click calls it by name
        """Start the web server that WEB_SERVER names, in place of this process."""
        if demo:
            refuse_in_production(app.settings)
        check_start(app.settings)
        if demo:
            upgrade(app)
            announce(app.settings, prepare(app, samples))
        start()


def _accounts(settings: Settings) -> Path:
    return settings.app_var_dir / "demo.json"


class Account(TypedDict):
    """How to sign in as one of the demo accounts."""

    username: str
    password: str


def refuse_in_production(settings: Settings) -> None:
    """Refuse accounts whose passwords are printed.

    Raises:
        ConfigurationError: This is production.
    """
    if settings.is_production:
        raise ConfigurationError(
            "Demo accounts do not belong in production: leave out --demo, or unset APP_ENV"
        )


def prepare(app: Strongback, samples: Iterable[Samples]) -> dict[str, Account]:
    """Make the accounts and the samples, as far as they are not there already.

    Raises:
        ConfigurationError: This is production.
    """
    refuse_in_production(app.settings)
    with app.app_context():
        accounts = ensure_accounts(app.services[UserService], _accounts(app.settings))
        for add in samples:
            add(app, accounts[Role.AUTHOR]["username"])
    return accounts


def ensure_accounts(users: UserService, path: Path) -> dict[str, Account]:
    """Make an account for each role, with passwords that are generated once and kept in a file.

    Without the file the accounts get new passwords, since nobody knows the old ones.

    Args:
        users: Where the accounts are made.
        path: The file; only its owner may read it.
    """
    accounts: dict[str, Account] = json.loads(path.read_text()) if path.exists() else {}
    with users.database.scope():
        for role in Role:
            if role.value not in accounts:
                account = Account(username=role.value, password=secrets.token_urlsafe(12))
                users.put(account["username"], account["password"], [role])
                accounts[role.value] = account
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps(accounts, indent=2) + "\n")
    return accounts


def announce(settings: Settings, accounts: dict[str, Account]) -> None:
    """Print the addresses and accounts that matter."""
    base = settings.address
    rows = [
        ("Pages", base),
        ("API document", f"{base}/docs"),
        ("Health", f"{base}/readyz"),
        ("Metrics", f"{base}/metrics"),
        *(
            (f"Sign in: {role}", f"{a['username']} / {a['password']}")
            for role, a in accounts.items()
        ),
    ]
    click.echo(click.style(f"\nStrongback on {base}", bold=True))
    for label, value in rows:
        click.echo(f"  {label:<16} {value}")
    click.echo(f"  {'Data':<16} {settings.app_var_dir}\n")
