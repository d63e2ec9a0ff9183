from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import delete, func, select
from sqlalchemy.exc import StatementError

from strongback.database import (
    utc_now,
)
from tests.support.account import Account, Note

pytestmark = pytest.mark.speaks_sql

THREADS = 8


class TestTypes:
    def test_moment_comes_back_aware_in_utc_to_the_microsecond(self, database, service):
        moment = datetime(2026, 3, 1, 1, 2, 3, 456789, tzinfo=timezone(timedelta(hours=8)))
        database.transact(lambda s: s.add(Account(name="ann", seen_at=moment)))
        with database.scope():
            seen_at = service.find("ann").seen_at
            assert seen_at == moment
            assert seen_at.tzinfo is UTC

    def test_naive_moment_is_refused(self, database, service):
        naive = datetime(2026, 3, 1)  # noqa: DTZ001  the fault under test
        with pytest.raises(StatementError, match="naive"):
            database.transact(lambda s: s.add(Account(name="ann", seen_at=naive)))

    def test_moments_compare_in_a_query(self, database, service):
        service.open("ann")
        with database.scope():
            later = select(Account).where(Account.created_at > utc_now() - timedelta(minutes=1))
            assert database.session.scalars(later).one().name == "ann"

    def test_new_row_was_changed_when_it_was_made(self, database, service):
        account = service.open("ann")
        assert account.created_at == account.updated_at

    def test_change_moves_updated_at_and_version(self, database, service):
        with database.scope():
            before = service.open("ann").updated_at
            service.deposit("ann", 1)
            account = service.find("ann")
            assert (account.version, account.created_at) == (2, before)
            assert account.updated_at > before

    def test_id_of_a_deleted_row_is_not_used_again(self, database, service):
        first = service.open("ann").id
        database.transact(lambda s: s.execute(delete(Account)))
        assert service.open("ann").id > first

    @pytest.mark.parametrize("other", ["ANN", "ánn"])
    def test_text_differs_by_case_and_accent(self, database, service, other):
        service.open("ann")
        service.open(other)
        with database.scope():
            like = select(func.count()).where(Account.name.like("ann%"))
            assert database.session.scalar(like) == 1

    def test_text_holds_any_character(self, database):
        database.transact(lambda s: s.add(Note(body="汉字 😀")))
        with database.scope():
            assert database.session.scalar(select(Note.body)) == "汉字 😀"
