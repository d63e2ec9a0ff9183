"""`flask doctor`: what keeps the application from working, each finding with its remedy."""

from __future__ import annotations

import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from pathlib import Path

import click
from flask import Flask
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from strongback.config import Settings
from strongback.database import Database
from strongback.database.capacity import check_capacity
from strongback.database.remedy import describe, remedy_for
from strongback.exceptions import ConfigurationError
from strongback.migration.migration_error import MigrationError
from strongback.migration.runner import pending

MIN_FREE_SPACE = 500 * 2**20
MIN_MYSQL, MIN_MARIADB, MIN_SQLITE = (8, 4), (10, 6), (3, 35)


class Verdict(StrEnum):
    """How a finding counts."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "PROBLEM"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    verdict: Verdict
    what: str
    remedy: str = ""


@dataclass(frozen=True)
class Service:
    """Something in the network that the application uses."""

    name: str
    variable: str
    """The setting with its address and password."""
    check: Callable[[], object]
    """Raises if it is not usable."""


def init_doctor(
    app: Flask, settings: Settings, database: Database, services: Sequence[Service]
) -> None:
    """Give the application `flask doctor`.

    Args:
        app: The application.
        settings: What is looked at.
        database: The same.
        services: Further ones.
    """
    doctor = Doctor(app, settings, database, services)

    @app.cli.command("doctor")
    def doctor_command() -> None:
        """Say what keeps the application from working, and how to mend it."""
        findings = list(doctor.examine())
        for finding in findings:
            click.echo(f"{finding.verdict:<8} {finding.what}")
            if finding.remedy:
                click.echo(f"         -> {finding.remedy}")
        problems = sum(finding.verdict is Verdict.PROBLEM for finding in findings)
        if problems:
            raise click.ClickException(f"{problems} to mend")


class Doctor:
    """Examines one application; changes nothing."""

    def __init__(
        self,
        app: Flask,
        settings: Settings,
        database: Database,
        services: Sequence[Service],
    ) -> None:
        self.app = app
        self.settings = settings
        self.database = database
        self.services = services

    def examine(self) -> Iterator[Finding]:
        """Every finding; a part that depends on one that is broken is left out."""
        yield from self._python()
        yield from self._folders()
        yield from self._port()
        yield from self._database()
        for service in self.services:
            yield self._service(service)
        if self.settings.meili_url is not None:
            yield self._meilisearch(self.settings.meili_url)

    def _python(self) -> Iterator[Finding]:
        version = ".".join(map(str, sys.version_info[:3]))
        yield Finding(Verdict.OK, f"Python {version} ({sys.executable})")
        env = self.settings.app_env
        yield Finding(Verdict.OK, f"Settings are valid for {env} (APP_ENV)")
        for warning in self.settings.warnings():
            what, _, remedy = warning.rpartition("; ")
            yield Finding(Verdict.WARNING, what, remedy)

    def _folders(self) -> Iterator[Finding]:
        folders = {"APP_VAR_DIR": self.settings.app_var_dir, "LOG_DIR": self.settings.log_dir}
        for variable, folder in folders.items():
            if folder is not None:
                yield self._folder(variable, folder)

    def _folder(self, variable: str, folder: Path) -> Finding:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            probe = folder / ".doctor"
            probe.touch()
            probe.unlink()
            free = shutil.disk_usage(folder).free
        except OSError as error:
            return Finding(
                Verdict.PROBLEM,
                f"{folder} cannot be written ({error.strerror})",
                f"Let this user write to it, or choose another: {variable}=/path",
            )
        if free < MIN_FREE_SPACE:
            return Finding(
                Verdict.WARNING,
                f"{folder} has {free // 2**20} MiB left",
                "Make room; a database without it refuses every write",
            )
        return Finding(Verdict.OK, f"{folder} can be written")

    def _port(self) -> Iterator[Finding]:
        host, port = self.settings.web_host, self.settings.web_port
        every = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  compared, not bound
        shown = every.get(host, host)
        place = f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"
        probe = f"{place}/livez"
        try:
            with urllib.request.urlopen(probe, timeout=2) as answer:  # noqa: S310  http alone
                is_ours = answer.read() == b'{"status":"ok"}'
        except urllib.error.HTTPError:
            is_ours = False
        except OSError:
            yield Finding(Verdict.OK, f"Port {port} is free")
            return
        if is_ours:
            yield Finding(Verdict.OK, f"The application answers on port {port}")
        else:
            yield Finding(
                Verdict.PROBLEM,
                f"Something else answers on port {port}",
                f"Stop it, or choose another: WEB_PORT={port + 10}",
            )

    def _database(self) -> Iterator[Finding]:
        try:
            with self.database.engine.connect() as connection:
                version = str(connection.scalar(text(self._version_query)))
                cipher = None if self.settings.is_sqlite else _cipher(connection)
        except DBAPIError as error:
            remedy = remedy_for(error) or "See what it says, and the log"
            yield Finding(Verdict.PROBLEM, describe(error), remedy)
            return
        yield from self._version(version)
        if cipher is not None:
            yield _encryption(cipher)
        try:
            check_capacity(self.settings)
        except ConfigurationError as error:
            yield Finding(Verdict.PROBLEM, "The pools do not fit the database", str(error))
        yield self._schema()

    @property
    def _version_query(self) -> str:
        return "SELECT sqlite_version()" if self.settings.is_sqlite else "SELECT VERSION()"

    def _version(self, version: str) -> Iterator[Finding]:
        found = tuple(int(part) for part in version.partition("-")[0].split(".")[:2])
        name, least = ("MySQL", MIN_MYSQL)
        if self.settings.is_sqlite:
            name, least = ("SQLite", MIN_SQLITE)
        elif "MariaDB" in version:
            name, least = ("MariaDB", MIN_MARIADB)
        if found >= least:
            yield Finding(Verdict.OK, f"{name} {version} answers")
        else:
            wanted = ".".join(map(str, least))
            yield Finding(Verdict.PROBLEM, f"{name} {version} is too old", f"Use {wanted} or newer")

    def _schema(self) -> Finding:
        try:
            lacking = pending(self.app)
        except MigrationError as error:
            what, _, remedy = str(error).partition(": ")
            return Finding(Verdict.PROBLEM, what, remedy)
        if lacking:
            return Finding(
                Verdict.PROBLEM,
                f"The database lacks {len(lacking)} migrations",
                "flask --app app.main db upgrade, or docker compose up migrate",
            )
        return Finding(Verdict.OK, "The schema is up to date")

    def _service(self, service: Service) -> Finding:
        try:
            service.check()
        except Exception as error:  # noqa: BLE001  whatever a driver raises means: not usable
            return Finding(
                Verdict.PROBLEM,
                f"{service.name} is not usable: {type(error).__name__}: {error}",
                f"See that it runs, and that {service.variable} has its address and password",
            )
        return Finding(Verdict.OK, f"{service.name} answers")

    def _meilisearch(self, address: str) -> Finding:
        key = self.settings.meili_master_key.get_secret_value()
        # Only the master key sees keys; a Meilisearch without one shows its version to everybody.
        path = "keys?limit=1" if key else "version"
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        place = f"{address.rstrip('/')}/{path}"
        asked = urllib.request.Request(place, headers=headers)  # noqa: S310  http alone
        try:
            with urllib.request.urlopen(asked, timeout=2):  # noqa: S310  http alone
                return Finding(Verdict.OK, "Meilisearch answers, and knows our key")
        except urllib.error.HTTPError as error:
            if error.code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
                return Finding(
                    Verdict.PROBLEM,
                    f"Meilisearch refuses our key ({error.code})",
                    "Set MEILI_MASTER_KEY to the one that Meilisearch was started with",
                )
            reason = f"it answers {error.code}"
        except OSError as error:
            reason = str(getattr(error, "reason", error))
        return Finding(
            Verdict.PROBLEM,
            f"Meilisearch is not usable at {address}: {reason}",
            "See that it runs and that MEILI_URL names it; without MEILI_URL the application"
            " searches by itself",
        )


def _cipher(connection: Connection) -> str:
    """Return the name of the session's cipher, empty where it has none."""
    _, cipher = connection.execute(text("SHOW SESSION STATUS LIKE 'Ssl_cipher'")).one()
    return str(cipher)


def _encryption(cipher: str) -> Finding:
    if cipher:
        return Finding(Verdict.OK, f"The connection to the database is encrypted ({cipher})")
    return Finding(
        Verdict.OK,
        "The connection to the database is not encrypted",
        "In a network that others use too: MYSQL_SSL_MODE=required, or verify_identity",
    )
