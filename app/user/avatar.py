"""Pictures of accounts."""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256
from typing import IO

from sqlalchemy import select

from app.core import API
from app.user.exceptions import UserNotFound
from app.user.model import User, normalize_username
from app.user.service import UserService
from strongback.auth.principal import Principal
from strongback.database import transactional
from strongback.exceptions import NotFound
from strongback.file import FileKind, Files, Variant
from strongback.file.type import readable_images

ADDRESS = f"{API}/users/{{}}/avatar"
"""Address of the picture of an account, with its username for the braces."""
AVATAR = FileKind(
    "avatar",
    types=readable_images(),
    max_bytes=10_000_000,
    is_public=True,
    variants=(
        Variant("large", 256, 256, is_cropped=True),
        Variant("small", 64, 64, is_cropped=True),
    ),
    max_side=512,
    is_still=True,  # beside every comment, movement would be in the way of reading
)
LETTER = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">'
    '<rect width="64" height="64" fill="hsl({hue},45%,40%)"/>'
    '<text x="32" y="43" font-family="sans-serif" font-size="32" fill="#fff"'
    ' text-anchor="middle">{letter}</text></svg>'
)
"""What is shown for an account without a picture: letters and hues are all that vary."""


class AvatarService:
    """Sets, finds and removes pictures of accounts.

    Args:
        users: The accounts.
        files: Keeps the pictures.
    """

    def __init__(self, users: UserService, files: Files) -> None:
        self.database = users.database
        self.users = users
        self.files = files

    def set(self, owner: Principal, stream: IO[bytes], filename: str) -> User:
        """Make an image the picture of an account; the one before is deleted.

        Raises:
            APIException: The image is refused.
        """
        file = self.files.add(stream, filename, AVATAR, owner.user_id)
        try:
            return self._replace(owner.user_id, file.public_id)
        except BaseException:
            self.files.delete(file.public_id, owner.user_id)
            raise

    def remove(self, owner: Principal) -> None:
        """Delete the picture of an account; without one, this has no effect."""
        self._replace(owner.user_id, None)

    @transactional
    def _replace(self, user_id: int, avatar: str | None) -> User:
        user = self.users.locked(user_id)
        before, user.avatar = user.avatar, avatar
        if before is not None:
            # It may have been deleted as a file.
            with suppress(NotFound), self.database.savepoint():
                self.files.delete(before, user_id)
        return user

    def address(self, username: str, variant: str) -> str | None:
        """Address of the picture of an account; None if it has none.

        Raises:
            UserNotFound: The account does not exist.
        """
        query = select(User.avatar).where(User.username == normalize_username(username))
        row = self.database.session.execute(query).one_or_none()
        if row is None:
            raise UserNotFound
        file = self.files.find(row.avatar) if row.avatar else None
        return None if file is None else self.files.url(file, variant)


def letter_of(username: str) -> str:
    """An SVG with the first letter of a username, in a colour of its own."""
    hue = int.from_bytes(sha256(username.encode()).digest()[:2], "big") % 360
    return LETTER.format(hue=hue, letter=username[0].upper())
