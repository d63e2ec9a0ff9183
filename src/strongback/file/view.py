"""Routes of files."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from strongback.auth.principal import Principal
from strongback.database import utc_now
from strongback.exceptions import Forbidden, NotFound
from strongback.file.content import send_file
from strongback.file.file_model import StoredFile
from strongback.file.file_schema import (
    ContentQuery,
    FileDetailOut,
    FileOut,
    FilePath,
    PresignIn,
    UploadForm,
    UploadOut,
)
from strongback.file.files import UPLOAD_SECONDS, Files
from strongback.file.kind import ORIGINAL, FileKind
from strongback.file.permission import FilePermission
from strongback.paging import Window
from strongback.schema import Page, PageQuery
from strongback.web.blueprint import APIBlueprint
from strongback.web.guard import needs, public
from strongback.web.injection import inject
from strongback.web.limit import limited
from strongback.web.limit import principal as principal_key
from strongback.web.request import Response, current_request

api = APIBlueprint("sb_file", __name__, url_prefix="/files", tag="files")
files = inject(Files)
CONTENT = {
    "description": "The content, or the part that `Range` asks for.",
    "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
}


def file_out(file: StoredFile) -> dict[str, Any]:
    """What a response tells of a file."""
    others = [name for name in file.sizes if name != ORIGINAL]
    variants = {name: files.url(file, name) for name in others}
    own = {"id": file.public_id, "size": file.size, "url": files.url(file), "variants": variants}
    return vars(file) | own


@api.get("", responses={200: Page[FileOut]})
@needs(FilePermission.READ)
def list_files(query: PageQuery, principal: Principal) -> Window[Any]:
    """List your files, latest first."""
    window: Window[Any] = files.list(principal.user_id, query)
    return replace(window, items=[FileOut.model_validate(file_out(each)) for each in window.items])


@api.post("", responses={201: FileOut})
@needs(FilePermission.WRITE)
@limited("1200/hour", key=principal_key, on_outage="process")
def upload_file(
    form: UploadForm, principal: Principal
) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Upload a file.

    Its type is decided by its content. An image is encoded anew, without metadata such as the place
    where it was taken.
    """
    kind = _allowed_kind(form.kind, principal)
    file = files.add(form.file.stream, form.file.filename or "", kind, principal.user_id)
    return file_out(file), 201, {"Location": f"{api.url_prefix}/{file.public_id}"}


@api.post("/presign", responses={201: UploadOut})
@needs(FilePermission.WRITE)
@limited("1200/hour", key=principal_key, on_outage="process")
def presign_file(body: PresignIn, principal: Principal) -> tuple[UploadOut, int]:
    """Get an address to send a file to the store itself, past this server.

    Nobody sees the file until you complete it: its size, type and content are checked then.
    """
    kind = _allowed_kind(body.kind, principal)
    file = files.presign(body.name, kind, principal.user_id, body.size)
    expires_at = utc_now() + timedelta(seconds=UPLOAD_SECONDS)
    url = files.upload_url(file)
    return UploadOut(id=file.public_id, method="PUT", url=url, expires_at=expires_at), 201


@api.post("/<id>/complete", responses={200: FileOut})
@needs(FilePermission.WRITE)
@limited("1200/hour", key=principal_key, on_outage="process")
def complete_file(path: FilePath, principal: Principal) -> dict[str, Any]:
    """Complete a file that you have sent to the store itself; repeating it has no effect.

    A file that is refused is deleted.
    """
    return file_out(files.complete(path.id, principal.user_id))


@api.get("/<id>", responses={200: FileDetailOut})
@needs(FilePermission.READ)
def read_file(path: FilePath, principal: Principal) -> dict[str, Any]:
    """Get a file of yours, without its content; managers of files see all."""
    file = files.find(path.id)
    if file is None or not _may_see(file, principal):
        raise NotFound
    return file_out(file) | {"download_url": files.download_url(file)}


@api.get("/<id>/content", responses={200: CONTENT})
@public
def read_content(path: FilePath, query: ContentQuery, principal: Principal | None) -> Response:
    """Get the content of a public file, or of a file of yours.

    `Range` and conditional requests are supported.
    """
    file = files.find(path.id)
    if file is None or not (file.is_public or _may_see(file, principal)):
        raise NotFound
    return send_file(current_request(), files, file, query.variant)


@api.delete("/<id>", responses={204: None})
@needs(FilePermission.WRITE)
def delete_file(path: FilePath, principal: Principal) -> None:
    """Delete a file of yours; managers of files may delete any."""
    is_manager = principal.may(FilePermission.MANAGE)
    files.delete(path.id, None if is_manager else principal.user_id)


def _may_see(file: StoredFile, principal: Principal | None) -> bool:
    if principal is None:
        return False
    is_owner = file.owner == principal.user_id and principal.may(FilePermission.READ)
    return is_owner or principal.may(FilePermission.MANAGE)


def _allowed_kind(name: str, principal: Principal) -> FileKind:
    kind = files.kind(name)
    if kind.permission is not None and not principal.may(kind.permission):
        raise Forbidden
    return kind
