from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

import pytest
from sqlalchemy import select

from strongback import notification, task
from strongback.app import Strongback
from strongback.config import Settings
from strongback.notification import Kind, Notifications, Preferences, Way
from strongback.notification.notification_model import Notification
from strongback.testing import empty
from tests.support.work import work

PEOPLE = {"ada": 1, "bob": 2, "eve": 3}
BREWED = Kind(
    "tea:brewed",
    about="Somebody brews tea.",
    text="{actor} brewed {count} cups of “{title}”.",
    variants={"count=1": "{actor} brewed a cup of “{title}”."},
)
SPILLED = Kind("tea:spilled", about="Tea was spilled.", text="Tea was spilled.", is_security=True)


class People:
    """Ada, Bob and Eve."""

    def ids_of(self, usernames: Collection[str]) -> dict[str, int]:
        return {name: PEOPLE[name] for name in usernames if name in PEOPLE}


@dataclass
class Teahouse:
    """An application that tells of tea, and nothing else."""

    app: Strongback
    kinds: tuple[Kind, ...] = (BREWED, SPILLED)
    notifications: Notifications = field(init=False)
    preferences: Preferences = field(init=False)

    def __post_init__(self) -> None:
        task.register(self.app, "/api")
        self.notifications = notification.register(self.app, "/api")
        self.notifications.reach(People())
        self.notifications.declare(*self.kinds)
        self.preferences = self.app.services[Preferences]

    def send(self, kind: Kind = BREWED, subject: str = "tea:1", **options: object) -> None:
        values = {"to": ["eve"], "actor": "ada", "data": {"title": "Oolong", "count": 2}}
        self.app.database.transact(
            lambda _: self.notifications.send(kind, subject, **values | options)  # type: ignore[arg-type]  # of the test
        )

    def deliver(self) -> list[str]:
        """Run what is due; returns the tasks that ran."""
        return work(self.app)

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


@pytest.fixture
def teahouse(settings: Settings, database_url: str) -> Iterator[Teahouse]:
    changed = settings.model_copy(update={"database_url": database_url})
    app = Strongback("teahouse", changed, title="Tea", roles={"anybody": TEA})
    empty(app.database)
    teahouse = Teahouse(app)
    app.checked()
    yield teahouse
    app.close()


TEA = frozenset((*notification.NotificationPermission, *task.TaskPermission))
