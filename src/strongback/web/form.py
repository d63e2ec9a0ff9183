"""Reads forms: what is broken is refused in words, and little of a form is in memory."""

from __future__ import annotations

from tempfile import SpooledTemporaryFile
from typing import IO, Any, cast

from werkzeug.formparser import FormDataParser

from strongback.exceptions import BadRequest

MULTIPART = "multipart/form-data"
MAX_PARTS = 16
"""Parts of a form with files. All of them can be in memory, in every thread at once."""
MAX_TEXT = 128 * 1024
"""Bytes of one text in a form with files."""
HELD = 64 * 1024
"""Bytes of a file that stay in memory; a larger one is written to the disk."""


class FormParser(FormDataParser):
    """Werkzeug's, which takes a form that it cannot read for an empty one."""

    def __init__(self, *_: object, **options: Any) -> None:  # noqa: ANN401  Werkzeug's own
        super().__init__(**options)
        self.stream_factory = _open_file

    def parse(
        self,
        stream: IO[bytes],
        mimetype: str,
        content_length: int | None,
        options: dict[str, str] | None = None,
    ) -> Any:  # noqa: ANN401  Werkzeug's own
        """Read a form.

        Raises:
            BadRequest: It has no boundary, ends too early, or is not UTF-8.
        """
        self.silent = mimetype != MULTIPART
        try:
            return super().parse(stream, mimetype, content_length, options)
        except ValueError as error:
            raise BadRequest("The form is broken, incomplete or not in UTF-8.") from error


def _open_file(*_: object, **__: object) -> IO[bytes]:
    return cast("IO[bytes]", SpooledTemporaryFile(HELD, "rb+"))
