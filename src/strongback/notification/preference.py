"""The ways that each person has chosen, for each kind of notification."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import InstrumentedAttribute

from strongback.database import Database, changed_rows, insert_if_absent, transactional
from strongback.exceptions import FieldError, ValidationFailed
from strongback.notification.exceptions import SecurityNotification
from strongback.notification.kind import Kind, Kinds, Way
from strongback.notification.notification_model import Preference

Choices = Mapping[Way, bool]
"""Ways that are on or off."""


class Preferences:
    """Stores who is reached by which way.

    Only what differs from the default is stored.
    """

    def __init__(self, database: Database, kinds: Kinds) -> None:
        self.database = database
        self.kinds = kinds
        self.ways: Sequence[Way] = (Way.INBOX,)
        """Ways of this application: those whose parts are registered."""

    def ways_of(self, kind: Kind) -> list[Way]:
        """The ways of a kind in this application."""
        return [way for way in kind.ways if way in self.ways]

    def reached(self, kind: Kind, user_ids: Collection[int]) -> dict[int, set[Way]]:
        """The ways by which each account is reached."""
        mine = (Preference.kind == kind.name) & Preference.user_id.in_(user_ids)
        chosen, ways = self._chosen(Preference.user_id, mine), self.ways_of(kind)
        return {each: {way for way in ways if kind.is_on(way, chosen[each])} for each in user_ids}

    def list(self, user_id: int) -> list[tuple[Kind, Choices]]:
        """All kinds, each with its ways and whether they are on."""
        chosen = self._chosen(Preference.kind, Preference.user_id == user_id)
        return [
            (kind, {way: kind.is_on(way, chosen[kind.name]) for way in self.ways_of(kind)})
            for kind in self.kinds
        ]

    def _chosen(
        self, key: InstrumentedAttribute[Any], where: ColumnElement[bool]
    ) -> dict[Any, dict[Way, bool]]:
        chosen: dict[Any, dict[Way, bool]] = defaultdict(dict)
        query = select(key, Preference.way, Preference.is_on).where(where)
        for each, way, is_on in self.database.session.execute(query):
            chosen[each][Way(way)] = is_on
        return chosen

    @transactional
    def replace(self, user_id: int, wanted: Sequence[tuple[str, Choices]]) -> None:
        """Replace all choices of an account; a kind or way that is left out has its default.

        Raises:
            ValidationFailed: A kind or way does not exist.
            SecurityNotification: It is about the security of the account.
        """
        rows = [row for place in enumerate(wanted) for row in self._rows(user_id, *place)]
        session = self.database.session
        session.execute(delete(Preference).where(Preference.user_id == user_id))
        if rows:
            session.execute(insert_if_absent(Preference), rows)

    def _rows(
        self, user_id: int, number: int, wanted: tuple[str, Choices]
    ) -> Sequence[dict[str, object]]:
        name, choices = wanted
        place, kind = f"body.kinds.{number}", self.kinds.get(name)
        if kind is None:
            raise _unknown(f"{place}.kind", "There is no such kind of notification.")
        if any(way not in self.ways_of(kind) for way in choices):
            raise _unknown(f"{place}.ways", "This kind of notification does not take this way.")
        if any(kind.is_on(way, choices) != is_on for way, is_on in choices.items()):
            message = SecurityNotification.message
            field = FieldError(field=f"{place}.ways", message=message, type="security")
            raise SecurityNotification(errors=[field])
        return [
            {"user_id": user_id, "kind": name, "way": way.value, "is_on": is_on}
            for way, is_on in choices.items()
            if kind.is_on(way, {}) != is_on
        ]

    @transactional
    def switch_off_mail(self, user_id: int, kind_name: str) -> None:
        """Switch off the mail of a kind, as the link in it does; repeating it has no effect.

        Raises:
            SecurityNotification: It is about the security of the account.
        """
        kind, session, way = self.kinds.get(kind_name), self.database.session, Way.MAIL
        if kind is None:
            return
        if kind.is_on(way, {way: False}):
            raise SecurityNotification
        mine = (Preference.user_id == user_id) & (Preference.kind == kind_name)
        known = update(Preference).where(mine, Preference.way == way.value)
        if not changed_rows(session, known.values(is_on=False)):
            off = {"user_id": user_id, "kind": kind_name, "way": way.value, "is_on": False}
            session.execute(insert_if_absent(Preference).values(off))


def _unknown(field: str, message: str) -> ValidationFailed:
    return ValidationFailed(errors=[FieldError(field=field, message=message, type="unknown")])
