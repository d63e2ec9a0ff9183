"""Sends notifications, in the transaction of their cause."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from strongback.auth.account import Contacts
from strongback.exceptions import ConfigurationError
from strongback.notification.exceptions import InvalidNotification
from strongback.notification.kind import Kind, Kinds
from strongback.notification.notification_model import SUBJECT_LENGTH
from strongback.outbox import Outbox

SENT = "notification:sent"
"""Topic of the outbox: a notification was sent to up to `BATCH` accounts."""
BATCH = 500
"""Accounts of one message, whose rows are written in one transaction."""
DATA_LENGTH = 4096
"""Most bytes of the JSON of `data`."""


class Notifications:
    """Declares kinds of notifications, and sends them.

    notifications.send(COMMENTED, f"comment:{comment.id}", to=[article.author], actor=author)
    """

    def __init__(self, outbox: Outbox, kinds: Kinds) -> None:
        self._outbox = outbox
        self._kinds = kinds
        self._contacts: Contacts | None = None

    @property
    def contacts(self) -> Contacts:
        """How accounts are reached.

        Raises:
            ConfigurationError: No slice has said it.
        """
        if self._contacts is None:
            raise ConfigurationError(
                "notifications reach nobody: the slice of accounts has to call"
                " notifications.reach(contacts)"
            )
        return self._contacts

    def reach(self, contacts: Contacts) -> None:
        """Say how accounts are reached, as the slice of accounts does when it is registered."""
        self._contacts = contacts

    def declare(self, *kinds: Kind) -> None:
        """Add kinds, as a part or slice does when it is registered.

        Raises:
            ConfigurationError: There is another one of this name.
        """
        self._kinds.add(*kinds)

    def send(
        self,
        kind: Kind,
        subject: str,
        *,
        to: Iterable[int | str],
        data: Mapping[str, Any] | None = None,
        actor: str | None = None,
    ) -> None:
        """Notify accounts once the current transaction is committed.

        Nobody is notified of the same kind and subject twice, and nobody of an own deed.

        Args:
            kind: Kind of event; it must be declared.
            subject: Subject of the event, such as `comment:7`, at most 80 characters.
            to: Ids or usernames of the accounts; unknown usernames are ignored.
            data: Values of the placeholders and whatever else a client needs to show it, at most
                4 KiB of JSON.
            actor: Username of the account that caused it.

        Raises:
            DatabaseMisuse: No transaction is open.
            InvalidNotification: The kind is not declared, or subject or data are too long.
        """
        values = dict(data or {})
        self._check(kind, subject, values)
        message = {"kind": kind.name, "subject": subject, "data": values, "actor": actor}
        for ids in self._batches(to, actor):
            self._outbox.emit(SENT, message | {"to": ids})

    def _check(self, kind: Kind, subject: str, data: dict[str, Any]) -> None:
        if self._kinds.get(kind.name) is not kind:
            raise InvalidNotification(f"{kind.name} is not declared: notifications.declare(…)")
        if len(subject) > SUBJECT_LENGTH:
            raise InvalidNotification(
                f"the subject of {kind.name} has {len(subject)} characters, and {SUBJECT_LENGTH}"
                " are allowed"
            )
        if (size := len(json.dumps(data))) > DATA_LENGTH:
            raise InvalidNotification(
                f"the data of {kind.name} has {size} bytes of JSON, and {DATA_LENGTH} are allowed"
            )

    def _batches(self, to: Iterable[int | str], actor: str | None) -> Iterator[Sequence[int]]:
        wanted = set(to) - {actor}
        names = {each for each in wanted if isinstance(each, str)}
        ids = {each for each in wanted if isinstance(each, int)}
        if names or (ids and actor):
            known = dict(self.contacts.ids_of({*names, actor} if actor else names))
            own = known.pop(actor, None) if actor else None
            ids = (ids | set(known.values())) - {own}
        ordered = sorted(ids)
        for start in range(0, len(ordered), BATCH):
            yield ordered[start : start + BATCH]
