"""The HTTP side: APIFlask, and what views and `main` need to use it."""

from app.core.web.app import APIFlask, provided
from app.core.web.blueprint import APIBlueprint
from app.core.web.cache_metrics import init_cache_metrics
from app.core.web.conditional import conditional
from app.core.web.cors import init_cors
from app.core.web.guard import needs, public
from app.core.web.health import init_health
from app.core.web.idempotency import idempotent
from app.core.web.limit import account_name, client_address, init_limits, limited
from app.core.web.metrics import init_metrics
from app.core.web.precondition import IfMatch, OptionalIfMatch, tag_headers
from app.core.web.ready import ready, ready_page
from app.core.web.request import Response
from app.core.web.validation import UploadedFile

__all__ = [
    "APIBlueprint",
    "APIFlask",
    "IfMatch",
    "OptionalIfMatch",
    "Response",
    "UploadedFile",
    "account_name",
    "client_address",
    "conditional",
    "idempotent",
    "init_cache_metrics",
    "init_cors",
    "init_health",
    "init_limits",
    "init_metrics",
    "limited",
    "needs",
    "provided",
    "public",
    "ready",
    "ready_page",
    "tag_headers",
]
