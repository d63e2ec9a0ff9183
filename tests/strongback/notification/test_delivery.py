from __future__ import annotations

import os
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from strongback import notification, task
from strongback.app import Strongback
from strongback.database import DatabaseMisuse, utc_now
from strongback.exceptions import ConfigurationError
from strongback.notification import Inbox, Kind, Way
from strongback.notification.exceptions import InvalidNotification
from strongback.notification.notification_model import Notification
from strongback.notification.sender import BATCH
from tests.strongback.notification.conftest import BREWED, LISTED, PEOPLE, ROLES, SPILLED, Teahouse
from tests.support.thread import run_together
from tests.support.work import make_due, tick

pytestmark = pytest.mark.speaks_sql


class TestSend:
    def test_stores_a_notification_after_the_commit(self, teahouse):
        teahouse.send(to=["eve", PEOPLE["bob"]])
        assert teahouse.told() == []
        assert inbox_tasks(teahouse) == 1
        assert teahouse.told() == [(2, "tea:1"), (3, "tea:1")]

    def test_a_transaction_that_fails_tells_nobody(self, teahouse):
        def fail(_: object) -> None:
            teahouse.notifications.send(BREWED, "tea:1", to=["eve"])
            raise RuntimeError

        with pytest.raises(RuntimeError):
            teahouse.app.database.transact(fail)
        assert (teahouse.deliver(), teahouse.told()) == ([], [])

    def test_needs_a_transaction(self, teahouse):
        with teahouse.app.database.scope(), pytest.raises(DatabaseMisuse):
            teahouse.notifications.send(BREWED, "tea:1", to=["eve"])

    def test_tells_nobody_of_an_own_deed(self, teahouse):
        teahouse.send(to=["ada", "eve", PEOPLE["ada"]], actor="ada")
        teahouse.deliver()
        assert teahouse.told() == [(3, "tea:1")]

    def test_tells_nobody_twice(self, teahouse):
        for to in (["eve"], ["eve", "bob"], ["bob", PEOPLE["eve"]]):
            teahouse.send(to=to)
            teahouse.send(to=to)
            teahouse.deliver()
        assert teahouse.told() == [(2, "tea:1"), (3, "tea:1")]

    def test_tells_nobody_twice_at_the_same_time(self, teahouse):
        for _ in range(4):
            teahouse.send(to=range(1, 50), actor=None)
        run_together(*[teahouse.deliver] * 4)
        make_due(teahouse.app)  # what was too late, and tried again
        teahouse.deliver()
        assert teahouse.told() == [(each, "tea:1") for each in range(1, 50)]
        assert len(teahouse.received("eve")) == 1

    def test_unknown_usernames_are_passed_over(self, teahouse):
        teahouse.send(to=["nobody", "eve"])
        teahouse.deliver()
        assert teahouse.told() == [(3, "tea:1")]

    def test_a_large_audience_is_told_in_parts_each_in_a_transaction(self, teahouse):
        everybody = range(1, 2 * BATCH + 2)
        teahouse.send(LISTED, to=everybody, actor=None)
        assert inbox_tasks(teahouse) == 3
        assert teahouse.told() == [(each, "tea:1") for each in everybody]

    @pytest.mark.parametrize(
        "kind, subject, data, message",
        [
            (Kind("tea:cold", about="-", text="-"), "tea:1", {}, "is not declared"),
            (BREWED, "t" * 81, {}, "81 characters, and 80"),
            (BREWED, "tea:1", {"title": "x" * 5000}, "bytes of JSON, and 4096"),
        ],
    )
    def test_mistakes_are_named(self, teahouse, kind, subject, data, message):
        with pytest.raises(InvalidNotification, match=message):
            teahouse.send(kind, subject, data=data)


def test_an_application_in_which_nobody_is_reached_is_refused(settings):
    app = Strongback("nobody", settings, title="Nobody", roles=ROLES)
    task.register(app, "/api")
    notification.register(app, "/api")
    with pytest.raises(ConfigurationError, match="notifications reach nobody"):
        app.checked()
    app.close()


class TestPreferences:
    def test_what_is_switched_off_is_not_listed_and_not_told_later(self, teahouse):
        teahouse.switch("eve", BREWED, inbox=False)
        teahouse.send(to=["eve", "bob"])
        teahouse.deliver()
        assert teahouse.told(listed=True) == [(2, "tea:1")]
        teahouse.switch("eve", BREWED)
        teahouse.send(to=["eve"])
        teahouse.deliver()
        assert teahouse.told(listed=True) == [(2, "tea:1")]

    def test_switching_off_twice_at_the_same_time_does_no_harm(self, teahouse):
        def switch_off() -> None:
            with teahouse.app.database.scope():
                teahouse.preferences.switch_off_mail(PEOPLE["eve"], BREWED.name)

        run_together(*[switch_off] * 4)
        with teahouse.app.database.scope():
            ways = dict(teahouse.preferences.list(PEOPLE["eve"]))[BREWED]
        assert [way for way, is_on in ways.items() if not is_on] == [Way.MAIL]

    def test_security_is_always_told(self, teahouse):
        teahouse.send(SPILLED, to=["eve"], actor=None)
        teahouse.deliver()
        assert teahouse.told(listed=True) == [(3, "tea:1")]


@given(
    sendings=st.lists(
        st.tuples(
            st.sampled_from([BREWED, SPILLED]),
            st.sampled_from(["tea:1", "tea:2"]),
            st.sets(st.sampled_from([*PEOPLE, *PEOPLE.values()])),
            st.sampled_from([None, *PEOPLE]),
        ),
        max_size=6,
    ),
    off=st.sets(st.sampled_from(list(PEOPLE))),
    delivered_between=st.booleans(),
)
@settings(
    max_examples=8 if "TEST_LONG" in os.environ else 3,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_everybody_is_told_once_of_what_others_did(
    teahouse, is_long, sendings, off, delivered_between
):
    """Never twice, never the actor, never what is switched off, security always."""
    clear(teahouse)
    for name in PEOPLE:
        teahouse.switch(name, BREWED, **({"inbox": False} if name in off else {}))
    expected = set()
    for kind, subject, to, actor in sendings:
        teahouse.send(kind, subject, to=to, actor=actor)
        if delivered_between:
            teahouse.deliver()
        ids = {PEOPLE.get(each, each) for each in to} - {PEOPLE.get(actor or "")}
        expected |= {(each, kind.name, subject) for each in ids}
    teahouse.deliver()
    silent = {PEOPLE[name] for name in off}
    assert sorted(row[:3] for row in rows(teahouse)) == sorted(expected)
    for recipient, kind, _, listed in rows(teahouse):
        assert listed == (kind == SPILLED.name or recipient not in silent)


def inbox_tasks(teahouse: Teahouse) -> int:
    return teahouse.deliver().count("notification:inbox")


def rows(teahouse: Teahouse) -> list[tuple[int, str, str, bool]]:
    stored = Notification
    query = select(stored.recipient, stored.kind, stored.subject, stored.listed)
    with teahouse.app.database.scope():
        return [(*row,) for row in teahouse.app.database.session.execute(query)]


def clear(teahouse: Teahouse) -> None:
    teahouse.app.database.transact(lambda session: session.execute(delete(Notification)))


def test_what_is_older_than_it_is_kept_is_deleted(teahouse):
    days = teahouse.app.settings.notification_days
    ages = [timedelta(days + 1)] * 505 + [timedelta(days - 1), timedelta()]
    common = {"recipient": 3, "kind": BREWED.name, "data": {}}
    kept = [
        Notification(**common, subject=f"tea:{number}", created_at=utc_now() - age)
        for number, age in enumerate(ages)
    ]
    teahouse.app.database.transact(lambda session: session.add_all(kept))
    tick(teahouse.app, "notification:clean")
    assert teahouse.told() == [(3, "tea:505"), (3, "tea:506")]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_unread_are_counted_in_the_index_alone(teahouse):
    inbox = teahouse.app.services[Inbox]
    with teahouse.app.database.scope():
        statement = str(inbox.count_query(3).compile(compile_kwargs={"literal_binds": True}))
        connection = teahouse.app.database.session.connection()
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}").all()
    details = " ".join(row[-1] for row in plan)
    assert "USING COVERING INDEX ix_sb_notification_recipient_listed_read_at_id" in details
