"""Requests and responses of files."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from strongback.file.file_model import ID_LENGTH
from strongback.file.files import GIVEN_LENGTH
from strongback.file.kind import NAME_LENGTH, ORIGINAL
from strongback.schema import RequestBody, RequestForm, RequestPath, RequestQuery, Schema, Timestamp
from strongback.web.validation import UploadedFile

MAX_SIZE = 1 << 40
KindName = Annotated[str, Field(min_length=1, max_length=NAME_LENGTH)]


class FilePath(RequestPath):
    """A file by its id."""

    id: Annotated[str, Field(pattern=rf"^[0-9a-f]{{{ID_LENGTH}}}$")]
    """Id of the file."""


class ContentQuery(RequestQuery):
    """The file itself, or a variant of it."""

    variant: Annotated[str, Field(max_length=NAME_LENGTH)] = ORIGINAL
    """Name of a variant, one of `variants`."""


class UploadForm(RequestForm):
    """A file to keep."""

    kind: KindName
    """Kind of file, which decides on types, size and visibility."""
    file: UploadedFile
    """The file."""


class PresignIn(RequestBody):
    """A file that is to be sent to the store itself."""

    kind: KindName
    """Kind of file, which decides on types, size and visibility."""
    name: Annotated[str, Field(max_length=GIVEN_LENGTH)]
    """Name of the file, for people."""
    size: Annotated[int, Field(ge=0, le=MAX_SIZE)]
    """Size in bytes."""


class FileOut(Schema):
    """A file."""

    id: str
    """Id of the file: random, and the only thing that leads to a public one."""
    kind: str
    """Kind of file."""
    name: str
    """Name for people, with an extension of its type."""
    content_type: str
    """Type by the content."""
    size: int
    """Size in bytes."""
    width: int | None
    """Width in pixels; null if it is no image."""
    height: int | None
    """Height in pixels; null if it is no image."""
    is_public: bool
    """Whether anybody may read it."""
    created_at: Timestamp
    """Time of creation."""
    url: str
    """Address of the content; below the API, private files need the same token."""
    variants: dict[str, str]
    """Addresses of the variants, by name."""


class FileDetailOut(FileOut):
    """A file, with a way to download it from the store itself."""

    download_url: str | None
    """Address at the store that needs no token and is valid for five minutes; null if this server
    has no such store."""


class UploadOut(Schema):
    """Where to send a file."""

    id: str
    """Id of the file; nobody sees it until it is completed."""
    method: Literal["PUT"]
    """Method to send the content with, as the whole body."""
    url: str
    """Address to send it to."""
    expires_at: Timestamp
    """Time until which that can begin."""
