"""The HTTP side: what an application and its views need of it."""

from strongback.web.blueprint import APIBlueprint
from strongback.web.conditional import (
    IfMatch,
    OptionalIfMatch,
    cached_response,
    conditional,
    tag_headers,
)
from strongback.web.cors import init_cors
from strongback.web.guard import needs, public
from strongback.web.health import init_health
from strongback.web.http_app import HTTPApp
from strongback.web.idempotent import idempotent
from strongback.web.injection import inject
from strongback.web.limit import account_name, client_address, init_limits, limited
from strongback.web.linking import cached_page
from strongback.web.metrics import init_metrics
from strongback.web.request import Response
from strongback.web.validation import UploadedFile

__all__ = [
    "APIBlueprint",
    "HTTPApp",
    "IfMatch",
    "OptionalIfMatch",
    "Response",
    "UploadedFile",
    "account_name",
    "cached_page",
    "cached_response",
    "client_address",
    "conditional",
    "idempotent",
    "init_cors",
    "init_health",
    "init_limits",
    "init_metrics",
    "inject",
    "limited",
    "needs",
    "public",
    "tag_headers",
]
