from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from strongback.database import Database, utc_now
from strongback.task.lease import LeaseRow, Leases
from tests.support.thread import run_together
from tests.support.worker import wait_until

pytestmark = pytest.mark.speaks_sql


@pytest.fixture
def leases(database: Database) -> Leases:
    return Leases(database)


def test_a_lease_is_its_holders_alone(leases):
    assert leases.take("beat", "ann", 10)
    assert not leases.take("beat", "bob", 10)
    assert leases.take("beat", "ann", 10)


def test_leases_of_two_names_are_independent(leases):
    assert leases.take("beat", "ann", 10)
    assert leases.take("sweep", "bob", 10)


def test_a_lease_that_is_not_renewed_goes_to_the_next_who_asks(leases):
    assert leases.take("beat", "ann", 1)
    assert not leases.take("beat", "bob", 10)
    wait_until(lambda: leases.take("beat", "bob", 10), "the lease's end")
    assert not leases.take("beat", "ann", 10)


def test_a_lease_that_is_given_up_is_free_at_once(leases):
    leases.take("beat", "ann", 10)
    leases.give_up("beat", "ann")
    assert leases.take("beat", "bob", 10)


def test_nobody_gives_up_another_ones_lease(leases):
    leases.take("beat", "ann", 10)
    leases.give_up("beat", "bob")
    assert not leases.take("beat", "bob", 10)


def test_of_many_who_ask_at_once_one_gets_it(leases):
    """Also the very first time, when there is no row to renew."""
    names = [f"holder-{number}" for number in range(8)]
    for lease in ("new", "new-too"):
        taken = run_together(
            *(lambda name=name, lease=lease: leases.take(lease, name, 10) for name in names)
        )
        assert sum(taken) == 1


def test_of_many_who_note_a_change_one_is_the_first(leases):
    for run in ("first run", "second run"):
        changed = run_together(*[lambda run=run: leases.hand_over("broker", run)] * 8)
        assert sum(changed) == 1
    assert not leases.hand_over("broker", "second run")


def test_what_remains_of_a_lease_is_told_in_seconds(leases):
    assert leases.remaining("beat", 10) == 0
    before = utc_now()
    leases.take("beat", "ann", 10)
    remaining = leases.remaining("beat", 10)
    assert 10 - (utc_now() - before).total_seconds() <= remaining <= 10
    leases.give_up("beat", "ann")
    assert leases.remaining("beat", 10) == 0


def test_a_lease_reads_as_a_moment_in_utc(leases):
    leases.take("beat", "ann", 10)
    with leases.database.scope():
        row = leases.database.session.get_one(LeaseRow, "beat")
        assert abs(row.expires_at - utc_now()) < timedelta(minutes=1)


def put_back_the_clock(database: Database, ago: timedelta) -> None:
    """Let every lease be as if the clock had shown so much more when it was taken."""

    def shift(session: Session) -> None:
        for row in session.scalars(select(LeaseRow)):
            row.expires_at += ago

    database.transact(shift)


def test_a_lease_that_is_further_ahead_than_it_lasts_is_free(leases):
    """The clock was put back since: nobody renews it for an hour otherwise."""
    leases.take("beat", "ann", 10)
    put_back_the_clock(leases.database, timedelta(hours=1))
    assert leases.remaining("beat", 10) == 0
    assert leases.take("beat", "bob", 10)
    assert not leases.take("beat", "ann", 10)


def test_a_clock_that_is_adjusted_by_a_little_takes_nobodys_lease(leases):
    leases.take("beat", "ann", 10)
    put_back_the_clock(leases.database, timedelta(milliseconds=500))
    assert not leases.take("beat", "bob", 10)
