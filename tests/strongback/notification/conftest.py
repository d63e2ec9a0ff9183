from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import select

from app.core.config import Settings
from strongback import mail, notification, oauth, realtime, sms, task
from strongback.app import Strongback
from strongback.auth.account import Contact
from strongback.notification import Inbox, Kind, Notifications, Preferences, Way
from strongback.notification.notification_model import Notification
from strongback.realtime import Realtime
from strongback.realtime.message import Position
from strongback.realtime.permission import RealtimePermission
from strongback.testing import empty
from tests.support.kept import Kept
from tests.support.work import work

PEOPLE = {"ada": 1, "bob": 2, "eve": 3}
BREWED = Kind(
    "tea:brewed",
    about="Somebody brews tea.",
    text="{actor} brewed {count} cups of “{title}”.",
    variants={"count=1": "{actor} brewed a cup of “{title}”."},
)
SPILLED = Kind("tea:spilled", about="Tea was spilled.", text="Tea was spilled.", is_security=True)
LISTED = Kind("tea:listed", about="For the inbox.", text="There is tea.", ways=(Way.INBOX,))
SERVED = Kind(
    "tea:served",
    about="Tea is served.",
    text="{actor} served you “{title}”.",
    subject="Tea from {actor}",
    body="{actor} served you “{title}”. Drink it while it is hot.",
    link="/teas/{title}",
    ways=tuple(Way),
    sms_templates={"en": "2001", "zh": "2002"},
    sms_params=("actor", "title"),
)


class People:
    """Ada, Bob and Eve, who reads Chinese; Bob has proven nothing."""

    def contacts(self, account_ids: Collection[int]) -> dict[int, Contact]:
        known = [
            Contact(1, "ada", "ada@example.org", "+8613800138001", "en"),
            Contact(2, "bob", None, None, "en"),
            Contact(3, "eve", "eve@example.org", "+8613800138003", "zh"),
        ]
        return {each.account_id: each for each in known if each.account_id in account_ids}

    def account(self, user_id: int, *, lock: bool = False) -> None:
        """Nobody signs in here."""

    def check_password(self, username: str, password: str) -> None:
        """The same."""

    def account_of_phone(self, phone: str) -> None:
        """The same."""

    def ids_of(self, usernames: Collection[str]) -> dict[str, int]:
        return {name: PEOPLE[name] for name in usernames if name in PEOPLE}


@dataclass
class Teahouse:
    """An application that tells of tea, and nothing else."""

    app: Strongback
    kinds: tuple[Kind, ...] = (BREWED, SPILLED, LISTED, SERVED)
    notifications: Notifications = field(init=False)
    preferences: Preferences = field(init=False)
    earlier: dict[str, Position] = field(default_factory=dict)
    """Ends of the personal channels when the test began, by name."""

    def __post_init__(self) -> None:
        task.register(self.app, "/api")
        oauth.register(self.app, People(), "/api")
        self.notifications = notification.register(self.app, "/api")
        realtime.register(self.app, "/api")
        sms.register(self.app, "/api")
        mail.register(self.app, "/api", unsubscribe_page="/off")
        self.notifications.reach(People())
        self.notifications.declare(*self.kinds)
        self.preferences = self.app.services[Preferences]

    def send(self, kind: Kind = BREWED, subject: str = "tea:1", **options: object) -> None:
        values = {"to": ["eve"], "actor": "ada", "data": {"title": "Oolong", "count": 2}}
        self.app.database.transact(
            lambda _: self.notifications.send(kind, subject, **values | options)  # type: ignore[arg-type]  # of the test
        )

    def begin_anew(self) -> None:
        """Forget what an earlier test has left."""
        empty(self.app.database)
        realtime: Realtime = self.app.services[Realtime]
        self.earlier = {
            name: realtime.history(realtime.personal(number), 0).top
            for name, number in PEOPLE.items()
        }

    def close(self) -> None:
        self.app.close()

    def deliver(self) -> list[str]:
        """Run what is due; returns the tasks that ran."""
        return work(self.app)

    def read(self, name: str, *ids: int) -> None:
        with self.app.database.scope():
            self.app.services[Inbox].mark_read(PEOPLE[name], ids)

    def received(self, name: str) -> list[dict[str, Any]]:
        """What has come to a personal channel."""
        realtime: Realtime = self.app.services[Realtime]
        channel = realtime.personal(PEOPLE[name])
        stream = realtime.history(channel, 100, self.earlier.get(name))
        return [json.loads(each.data) for each in stream.publications]

    def told(self, *, listed: bool | None = None) -> list[tuple[int, str]]:
        """Who was told of what."""
        with self.app.database.scope():
            rows = self.app.database.session.scalars(select(Notification)).all()
            return sorted(
                (row.recipient, row.subject) for row in rows if listed in (None, row.listed)
            )

    def switch(self, name: str, kind: Kind, **ways: bool) -> None:
        choices = {Way(way): is_on for way, is_on in ways.items()}
        with self.app.database.scope():
            self.preferences.replace(PEOPLE[name], [(kind.name, choices)])


def open_teahouse(settings: Settings, **changes: object) -> Teahouse:
    """A teahouse of one test; whoever opens it closes it."""
    app = Strongback("teahouse", settings.model_copy(update=changes), title="Tea", roles=ROLES)
    empty(app.database)
    teahouse = Teahouse(app)
    app.checked()
    return teahouse


@pytest.fixture
def teahouse(kept: Kept, settings: Settings, database_url: str) -> Teahouse:
    """The teahouse of a module's tests, as if it were new."""
    teahouse = kept.get(open_teahouse, settings, database_url)
    teahouse.begin_anew()
    return teahouse


ROLES = {
    "anybody": frozenset(
        (
            *notification.NotificationPermission,
            *task.TaskPermission,
            *RealtimePermission,
        )
    )
}
