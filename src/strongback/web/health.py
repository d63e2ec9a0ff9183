"""Health checks: liveness and readiness."""

from __future__ import annotations

from http import HTTPStatus
from time import perf_counter
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from strongback.check import Check, Checks, Use
from strongback.exceptions import StrongbackError
from strongback.log.setup import get_logger
from strongback.schema import Schema
from strongback.web.blueprint import APIBlueprint
from strongback.web.guard import public
from strongback.web.injection import inject

if TYPE_CHECKING:
    from strongback.web.http_app import HTTPApp

log = get_logger(__name__)


class Liveness(Schema):
    """The process is alive."""

    status: Literal["ok"] = "ok"


class ServiceState(Schema):
    """State of a backing service."""

    status: Literal["ok", "unavailable"]
    """Whether the service responded."""
    latency_ms: float
    """Time until the response or the time-out, in milliseconds."""
    figures: dict[str, float] = Field(default_factory=dict)
    """Further figures of the service, by name."""


class Readiness(Schema):
    """State of the process and its backing services."""

    status: Literal["ok", "unavailable"]
    """`ok` if all required services are available."""
    services: dict[str, ServiceState]
    """Services by name."""


api = APIBlueprint("sb_operations", __name__, url_prefix="", tag="operations")
registered = inject(Checks)


@api.get("/livez", responses={200: Liveness})
@public
def check_liveness() -> tuple[Liveness, dict[str, str]]:
    """Check whether the process is alive; asks no backing service."""
    return Liveness(), {"Cache-Control": "no-store"}


@api.get("/readyz", responses={200: Readiness, 503: Readiness})
@public
def check_readiness() -> tuple[Readiness, int, dict[str, str]]:
    """Check whether the process can serve requests; asks each backing service."""
    report = readiness(registered)
    status = HTTPStatus.OK if report.status == "ok" else HTTPStatus.SERVICE_UNAVAILABLE
    return report, status, {"Cache-Control": "no-store"}


def init_health(app: HTTPApp, checks: Checks) -> None:
    """Serve `/livez` and `/readyz`.

    What is optional is reported, and does not count: every process would be taken out of service
    at once for the loss of something that each survives.
    """
    app.services.add(checks)
    app.register_api(api)


def readiness(checks: Checks) -> Readiness:
    """Ask each backing service."""
    required = {check.name: _ask(check) for check in checks.used_by(Use.REQUIRED)}
    optional = {check.name: _ask(check) for check in checks.used_by(Use.OPTIONAL)}
    ready = all(state.status == "ok" for state in required.values())
    return Readiness(status="ok" if ready else "unavailable", services=required | optional)


def _ask(check: Check) -> ServiceState:
    started = perf_counter()
    status: Literal["ok", "unavailable"] = "ok"
    figures: object = None
    try:
        figures = check.ask()
    except Exception as error:  # noqa: BLE001  whatever a driver raises
        # Our own errors tell the remedy; the message of a driver may contain a password.
        reason = {"reason": str(error)} if isinstance(error, StrongbackError) else {}
        log.warning("service_unavailable", service=check.name, error=type(error).__name__, **reason)
        status = "unavailable"
    return ServiceState(
        status=status,
        latency_ms=round((perf_counter() - started) * 1000, 3),
        figures=figures if isinstance(figures, dict) else {},
    )
