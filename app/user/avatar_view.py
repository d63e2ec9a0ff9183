"""Routes of the pictures of accounts."""

from __future__ import annotations

from app.core.permission import Permission
from app.user.avatar import AvatarService, letter_of
from app.user.model import User
from app.user.schema import AvatarQuery, ProfileOut, UserPath
from strongback.auth.principal import Principal
from strongback.schema import RequestForm
from strongback.web import APIBlueprint, Response, inject, limited, needs, public
from strongback.web.limit import principal as principal_key
from strongback.web.validation import UploadedFile

api = APIBlueprint("avatars", __name__, url_prefix="/api/v1/users", tag="users")
avatars = inject(AvatarService)
CACHED = "public, max-age=300"
SVG_HEADERS = {
    "Content-Type": "image/svg+xml",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": CACHED,
}
PICTURE = {
    "description": "A drawing of the first letter, for an account without a picture.",
    "content": {"image/svg+xml": {"schema": {"type": "string"}}},
}


class AvatarForm(RequestForm):
    """A picture."""

    file: UploadedFile
    """Image of at most 10 MB: JPEG, PNG, WebP, GIF or AVIF."""


@api.put("/me/avatar", responses={200: ProfileOut})
@needs(Permission.PROFILE_WRITE)
@limited("30/hour", key=principal_key, on_outage="process")
def set_avatar(form: AvatarForm, principal: Principal) -> User:
    """Set your picture; the one before is deleted.

    It is cut to a square. Of an animation, the first frame is taken.
    """
    return avatars.set(principal, form.file.stream, form.file.filename or "")


@api.delete("/me/avatar", responses={204: None})
@needs(Permission.PROFILE_WRITE)
def remove_avatar(principal: Principal) -> None:
    """Delete your picture; without one, this has no effect."""
    avatars.remove(principal)


@api.get("/<username>/avatar", responses={200: PICTURE, 302: None})
@public
def read_avatar(path: UserPath, query: AvatarQuery) -> Response:
    """Get the picture of an account: a redirection to it, or a drawing for one without."""
    if address := avatars.address(path.username, query.size):
        return Response(status=302, headers={"Location": address, "Cache-Control": CACHED})
    return Response(letter_of(path.username), headers=SVG_HEADERS)
