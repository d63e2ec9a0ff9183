"""Sends the content of a file: conditions, ranges, and headers that let nothing in it run."""

from __future__ import annotations

from collections.abc import Iterable

from werkzeug.http import http_date

from strongback.exceptions import NotFound, PreconditionFailed
from strongback.file.exceptions import RangeNotSatisfiable
from strongback.file.file_model import StoredFile
from strongback.file.files import Files, headers_of
from strongback.file.kind import ORIGINAL
from strongback.web.conditional import is_expected, is_fresh, not_modified
from strongback.web.request import Request, Response

ACCEL_FROM = 1 << 16
"""Bytes from which Nginx sends a file by itself: smaller ones are not worth the further request."""
ACCEL_PATH = "/internal/files/"
"""Location of Nginx that has the folder of the store."""
POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"
"""Content Security Policy: whatever a browser takes it for, it loads nothing and runs nothing."""
OK, PARTIAL = 200, 206


def send_file(request: Request, files: Files, file: StoredFile, variant: str) -> Response:
    """Respond with a file or a variant, a part of it, or that the client has it.

    Raises:
        NotFound: There is no such variant.
        PreconditionFailed: `If-Match` names another state.
        RangeNotSatisfiable: The range begins after the end.
        StoreError: The store does not answer.
    """
    if variant not in file.sizes:
        raise NotFound
    tag = file.public_id if variant == ORIGINAL else f"{file.public_id}-{variant}"
    if not is_expected(request, tag, file.created_at):
        raise PreconditionFailed
    if is_fresh(request, tag, file.created_at):
        response = not_modified(request, tag, file.created_at)
        response.headers["Cache-Control"] = headers_of(file)["Cache-Control"]
        return response
    response = _content(request, files, file, variant, tag)
    response.headers.update(headers_of(file))
    response.headers["ETag"] = f'"{tag}"'
    response.headers["Last-Modified"] = http_date(file.created_at)
    response.headers["Content-Security-Policy"] = POLICY
    readers = "cross-origin" if file.is_public else "same-origin"
    response.headers["Cross-Origin-Resource-Policy"] = readers
    return response


def _content(request: Request, files: Files, file: StoredFile, variant: str, tag: str) -> Response:
    size, key = file.sizes[variant], file.key(variant)
    start, end, status = 0, size, OK
    if wanted := _range_of(request, size, tag, file):
        (start, end), status = wanted, PARTIAL
    if files.has_accel and size >= ACCEL_FROM and _is_plain(request, wanted):
        return Response(b"", OK, {"X-Accel-Redirect": f"{ACCEL_PATH}{key}"})
    is_read = request.method != "HEAD"
    body: Iterable[bytes] = files.store.read(key, start, end) if is_read else ()
    response = Response(body, status)
    response.content_length = end - start
    response.headers["Accept-Ranges"] = "bytes"  # Nginx says it for itself
    if status == PARTIAL:
        response.headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    return response


def _is_plain(request: Request, wanted: tuple[int, int] | None) -> bool:
    """Whether Nginx would respond as we do."""
    # It would compare tags of its own, and refuse what is no range by a page.
    named = request.environ.keys() & {"HTTP_IF_MATCH", "HTTP_IF_UNMODIFIED_SINCE"}
    return not named and (wanted is not None or "HTTP_RANGE" not in request.environ)


def _range_of(request: Request, size: int, tag: str, file: StoredFile) -> tuple[int, int] | None:
    """The one range that is asked for; several, and what is no range, count as none.

    Raises:
        RangeNotSatisfiable: It begins after the end (RFC 9110, 15.5.17).
    """
    wanted = request.range
    if wanted is None or wanted.units != "bytes" or len(wanted.ranges) != 1:
        return None
    condition = request.if_range
    modified = file.created_at.replace(microsecond=0)
    if condition.etag not in (None, tag) or condition.date not in (None, modified):
        return None
    start, end = wanted.ranges[0]
    if start < 0:  # the last bytes, of which there may be fewer
        start = max(0, size + start)
    if start >= size:
        raise RangeNotSatisfiable(headers={"Content-Range": f"bytes */{size}"})
    return start, size if end is None else min(end, size)
