"""`flask doctor`: what keeps the application from working, each finding with its remedy."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import click
from flask import Flask
from sqlalchemy.exc import DBAPIError

from strongback.check import Check, Checks, CheckWarning
from strongback.config import Settings
from strongback.database.remedy import describe, remedy_for
from strongback.exceptions import StrongbackError


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


def init_doctor(app: Flask, settings: Settings, checks: Checks) -> None:
    """Give the application `flask doctor`."""

    @app.cli.command("doctor")
    def doctor_command() -> None:
        """Say what keeps the application from working, and how to mend it."""
        problems = 0
        for finding in examine(settings, checks):
            click.echo(f"{finding.verdict:<8} {finding.what}")
            if finding.remedy:
                click.echo(f"         -> {finding.remedy}")
            problems += finding.verdict is Verdict.PROBLEM
        if problems:
            raise click.ClickException(f"{problems} to mend")


def examine(settings: Settings, checks: Checks) -> Iterator[Finding]:
    """Ask every check but those that depend on one that fails; changes nothing."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding(Verdict.OK, f"Python {version} ({sys.executable})")
    yield Finding(Verdict.OK, f"Settings are valid for {settings.app_env} (APP_ENV)")
    for warning in settings.warnings():
        what, _, remedy = warning.rpartition("; ")
        yield Finding(Verdict.WARNING, what, remedy)
    failed: set[str | None] = set()
    for check in checks:
        if check.needs in failed:
            failed.add(check.name)
            continue
        finding = _ask(check)
        if finding.verdict is Verdict.PROBLEM:
            failed.add(check.name)
        yield finding


def _ask(check: Check) -> Finding:
    try:
        found = check.ask()
    except CheckWarning as warning:
        return Finding(Verdict.WARNING, str(warning), check.remedy)
    except DBAPIError as error:
        remedy = remedy_for(error) or "See what it says, and the log"
        return Finding(Verdict.PROBLEM, describe(error), remedy)
    except StrongbackError as error:
        return Finding(Verdict.PROBLEM, str(error), check.remedy)
    except Exception as error:  # noqa: BLE001  whatever a driver raises means: not usable
        what = f"{check.title} is not usable: {type(error).__name__}: {error}"
        return Finding(Verdict.PROBLEM, what, check.remedy)
    return Finding(Verdict.OK, found if isinstance(found, str) else f"{check.title} answers")
