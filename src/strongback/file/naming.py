"""Names of files, as people see them: they come from strangers, and nothing goes by them."""

from __future__ import annotations

import re
from mimetypes import MimeTypes
from urllib.parse import quote

from strongback.file.file_model import SHOWN_LENGTH
from strongback.text import first_unseen, normalize

NAMELESS = "file"
_RESERVED = re.compile(r'[<>:"/\\|?*%;]')
"""What a system, a shell or a header takes for something else."""
_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,10}$")
_TYPES = MimeTypes(filenames=())  # the tables of Python alone, the same on every machine
for _type, _extension in {
    "image/webp": ".webp",
    "image/avif": ".avif",
    "image/heic": ".heic",
    "application/zip": ".zip",
}.items():
    _TYPES.add_type(_type, _extension)
SHOWN_IN_BROWSER = frozenset(
    {"image/jpeg", "image/png", "image/gif", "image/webp", "image/avif"},
)
"""Types that a browser shows and cannot run."""


def shown_name(given: str, content_type: str) -> str:
    """The name that a file is shown and saved under.

    No folders, nothing that is not seen, no more than `SHOWN_LENGTH` characters; and the extension
    is one of the type that was found, so that no picture is saved as a program.

    >>> shown_name("../../holiday.PNG", "image/png")
    'holiday.PNG'
    >>> shown_name("invoice.exe", "application/pdf")
    'invoice.exe.pdf'
    """
    last = re.split(r"[/\\]", given.replace("\0", ""))[-1]
    visible = "".join(letter for letter in normalize("NFC", last) if first_unseen(letter) is None)
    name = " ".join(_RESERVED.sub("_", visible).split()).strip(". ") or NAMELESS
    extension = _TYPES.guess_extension(content_type, strict=False) or ".bin"
    match = _EXTENSION.search(name)
    if match and match[0].lower() in _TYPES.guess_all_extensions(content_type, strict=False):
        extension = match[0]
    stem = name.removesuffix(extension)
    return (stem[: SHOWN_LENGTH - len(extension)].rstrip(". ") or NAMELESS) + extension


def content_disposition(name: str, content_type: str) -> str:
    """The header by which a file is shown or saved (RFC 6266, and RFC 8187 for its name)."""
    way = "inline" if content_type in SHOWN_IN_BROWSER else "attachment"
    plain = name.encode("ascii", "replace").decode().replace("?", "_")
    encoded = quote(name, safe="!#$&+-.^_`|~")
    return f"{way}; filename=\"{plain}\"; filename*=UTF-8''{encoded}"
