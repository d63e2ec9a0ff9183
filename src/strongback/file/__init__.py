"""Files: kinds that slices declare, kept on the local disk or in an S3-compatible store.

    AVATAR = FileKind("avatar", types=("image/png",), max_bytes=5_000_000, is_public=True)

    files = file.register(app, "/api/v1")
    files.declare(AVATAR)
    stored = files.add(form.file.stream, form.file.filename, AVATAR, principal.user_id)
    files.url(stored)

It needs the tasks, and the extra `file`.
"""

from strongback.file.file_model import StoredFile
from strongback.file.files import Files
from strongback.file.kind import FileKind, FileKinds, Variant
from strongback.file.part import register
from strongback.file.permission import FilePermission

__all__ = [
    "FileKind",
    "FileKinds",
    "FilePermission",
    "Files",
    "StoredFile",
    "Variant",
    "register",
]
