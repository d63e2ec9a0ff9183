"""Following accounts."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from app.user.exceptions import OwnFollow
from app.user.model import Follow
from app.user.service import UserService
from strongback.database import Database, is_duplicate, transactional


class FollowService:
    """Stores who follows whom."""

    def __init__(self, database: Database, users: UserService) -> None:
        self.database = database
        self.users = users

    @transactional
    def follow(self, follower: str, followed: str) -> None:
        """Let an account follow another one; repeating it has no effect.

        Raises:
            UserNotFound: The account to follow does not exist.
            OwnFollow: Both are the same account.
        """
        key = self._key(follower, followed)
        if self.database.session.get(Follow, key) is not None:
            return
        try:
            with self.database.savepoint():
                self.database.session.add(Follow(followed=key[0], follower=key[1]))
                self.database.session.flush()
        except IntegrityError as error:
            if not is_duplicate(error):  # if it is, the same request came twice at once
                raise

    @transactional
    def unfollow(self, follower: str, followed: str) -> None:
        """Let an account stop following another one.

        Raises:
            UserNotFound: The account does not exist.
            OwnFollow: Both are the same account.
        """
        name, _ = self._key(follower, followed)
        self.database.session.execute(
            delete(Follow).where(Follow.followed == name, Follow.follower == follower)
        )

    def _key(self, follower: str, followed: str) -> tuple[str, str]:
        user = self.users.get(followed)
        if user.username == follower:
            raise OwnFollow
        return user.username, follower

    def followers(self, followed: str, after: str, limit: int) -> Sequence[str]:
        """The next usernames of an account's followers, in alphabetical order."""
        query = select(Follow.follower).where(Follow.followed == followed, Follow.follower > after)
        return self.database.session.scalars(query.order_by(Follow.follower).limit(limit)).all()
