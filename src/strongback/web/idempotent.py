"""`Idempotency-Key`: a client that got no response can safely send its POST again.

    @api.post("", responses={201: ArticleOut})
    @needs(Permission.ARTICLE_WRITE)
    @idempotent
    def create_article(body: ArticleIn, principal: Principal) -> ...:

The same request with the same key gets the first response again, with `Idempotency-Replayed: true`.
Errors are not recorded: once their cause is gone, the same key may try again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b, file_digest
from typing import Any, TypeVar

from flask import current_app
from flask_openapi.models.parameter import Parameter

from strongback.exceptions import BadRequest
from strongback.idempotency import KEY_LENGTH, Claim, Idempotency, RecordedResponse
from strongback.web.injection import inject
from strongback.web.request import Request, Response
from strongback.web.validation import FORM_TYPES

ViewT = TypeVar("ViewT", bound=Callable[..., object])
EARLIER = "SECRET_KEY_FALLBACKS"
"""Flask's setting for the secrets before the present one."""
HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
PARAMETER = Parameter.model_validate(
    {
        "name": HEADER,
        "in": "header",
        "required": False,
        "description": "Key chosen by the client, such as a UUID, a new one for each operation."
        " Repeating the request with its key within 24 hours has no further effect and returns the"
        " first response.",
        "schema": {"type": "string", "minLength": 1, "maxLength": KEY_LENGTH},
    }
)
_VISIBLE_ASCII = re.compile(rf"[!-~]{{1,{KEY_LENGTH}}}", re.ASCII)
_BAD_REQUEST = 400
keys = inject(Idempotency)


class _Refused(Exception):
    """An error response: it is sent, and neither its effect nor its key is kept."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


def idempotent(view: ViewT) -> ViewT:
    """Declare that a route accepts an `Idempotency-Key`."""
    view.__idempotent__ = True  # type: ignore[attr-defined]  # read by is_idempotent
    return view


def is_idempotent(view: Callable[..., object]) -> bool:
    """Whether a view accepts an `Idempotency-Key`."""
    return getattr(view, "__idempotent__", False)


def claim_of(request: Request) -> Claim | None:
    """The claim of a request, or None without a key; to be called before its body is read.

    Raises:
        BadRequest: The key is empty, too long, or has other characters than visible ASCII.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return None
    # The draft standard writes the key as a quoted string, most clients write it bare.
    key = key[1:-1] if len(key) > 1 and key[0] == key[-1] == '"' else key
    if not _VISIBLE_ASCII.fullmatch(key):
        raise BadRequest("The Idempotency-Key must be 1 to 255 visible ASCII characters.")
    operation = f"{request.method} {request.route}"[:255]
    return Claim(_caller(request), key, operation, _fingerprints(request))


def respond_once(claim: Claim, act: Callable[[], Any]) -> Response:
    """Call the view and record its response in its transaction, or repeat a recorded one."""
    try:
        recorded = keys.run(claim, lambda: _record(act))
    except _Refused as refused:
        return refused.response
    headers = [(name, value) for name, value in recorded.headers]
    if recorded.is_replayed:
        headers.append((REPLAYED, "true"))
    return Response(recorded.body, recorded.status, headers)


def _record(act: Callable[[], Any]) -> RecordedResponse:
    result = act()
    if isinstance(result, Exception):
        raise result  # returning an error and raising it are the same to a client
    response: Any = current_app.make_response(result)
    if response.status_code >= _BAD_REQUEST:
        raise _Refused(response)
    return RecordedResponse(
        response.status_code, [[*item] for item in response.headers], response.get_data()
    )


def _caller(request: Request) -> str:
    if request.principal is not None:
        return f"user:{request.principal.user_id}"
    return f"address:{request.remote_addr}"[:64]


def _fingerprints(request: Request) -> tuple[str, ...]:
    """Hashes of method, address and body, keyed by the current secret and by earlier ones.

    Keyed, because a body may hold a password, which must not be guessed from a stored hash. By
    earlier secrets, so that a retry after a change of secrets is recognised.
    """
    parts = (request.method.encode(), request.full_path.encode(), *_body_parts(request))
    config = current_app.config
    return tuple(_digest(secret, parts) for secret in (config["SECRET_KEY"], *config[EARLIER]))


def _digest(secret: str, parts: Iterable[bytes]) -> str:
    key = blake2b(secret.encode(), person=b"idempotency").digest()
    digest = blake2b(key=key, digest_size=32)
    for part in parts:  # each with its length, so that the boundaries count
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()


def _body_parts(request: Request) -> Iterator[bytes]:
    if request.mimetype not in FORM_TYPES:
        yield request.get_data()
        return
    # Not the raw bytes: a client that repeats a form chooses another multipart boundary.
    for name, value in request.form.items(multi=True):
        yield name.encode("utf-8", "surrogatepass")
        yield value.encode("utf-8", "surrogatepass")
    for name, file in request.files.items(multi=True):
        yield name.encode("utf-8", "surrogatepass")
        stream: Any = file.stream  # Werkzeug types it as less than it is
        yield file_digest(stream, blake2b).digest()
        stream.seek(0)
