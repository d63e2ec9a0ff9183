"""Leases: which of several processes does something, by a row in the database.

    leases = Leases(database)
    if leases.take("beat", holder, seconds=10):
        ...  # nobody else's for the next ten seconds; taking it again renews it

A holder that does not renew its lease loses it: a process that is killed is replaced. Time is the
database's, since the clocks of two machines may differ by more than a lease lasts. A lease that
expires later than it can last was taken before that clock was set back, and is free; otherwise it
would stay taken for as long as the clock was set back by.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, String, or_, select, update
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Mapped, Session, mapped_column
from sqlalchemy.sql.compiler import SQLCompiler

from strongback.database import Base, Database, UTCDateTime, changed_rows, insert_if_absent

NAME_LENGTH = 120
SLACK = 1.0
"""Seconds by which a clock may be set back without a lease being lost; clocks are adjusted by less
all the time."""
HOLDER_LENGTH = 64


class LeaseRow(Base):
    """Holder of a lease, and its end."""

    __tablename__ = "sb_lease"

    name: Mapped[str] = mapped_column(String(NAME_LENGTH), primary_key=True)
    holder: Mapped[str] = mapped_column(String(HOLDER_LENGTH))
    expires_at: Mapped[datetime]


class Leases:
    """Takes, renews and gives up leases."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def take(self, name: str, holder: str, seconds: float) -> bool:
        """Take or renew a lease, for some seconds from now; False while another holder has it.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: The database failed; the state of the lease is unknown.
        """
        return self.database.transact(
            lambda session: _renew(session, name, holder, seconds)
            or _create(session, name, holder, seconds)
        )

    def hand_over(self, name: str, holder: str) -> bool:
        """Note the present holder; True for the one caller that changes it."""
        other = (LeaseRow.name == name) & (LeaseRow.holder != holder)
        values = {"holder": holder, "expires_at": _Moment(0)}
        query = update(LeaseRow).where(other).values(values)
        return self.database.transact(
            lambda session: bool(changed_rows(session, query)) or _create(session, name, holder, 0)
        )

    def give_up(self, name: str, holder: str) -> None:
        """Free a lease; without effect if another holder has it."""
        mine = (LeaseRow.name == name) & (LeaseRow.holder == holder)
        query = update(LeaseRow).where(mine).values(expires_at=_Moment(0))
        self.database.transact(lambda session: session.execute(query))

    def remaining(self, name: str, seconds: float) -> float:
        """Seconds until a lease that lasts `seconds` is free; 0 if it is."""
        query = select(LeaseRow.expires_at, _Moment(0)).where(LeaseRow.name == name)
        with self.database.scope():
            row = self.database.session.execute(query).one_or_none()
        left = (row[0] - row[1]).total_seconds() if row else 0.0
        return left if 0 < left <= seconds + SLACK else 0.0


def _renew(session: Session, name: str, holder: str, seconds: float) -> bool:
    is_free = or_(
        LeaseRow.holder == holder,
        LeaseRow.expires_at <= _Moment(0),
        LeaseRow.expires_at > _Moment(seconds + SLACK),
    )
    query = update(LeaseRow).where(LeaseRow.name == name, is_free)
    renewal = query.values(holder=holder, expires_at=_Moment(seconds))
    return changed_rows(session, renewal) > 0


def _create(session: Session, name: str, holder: str, seconds: float) -> bool:
    if session.scalar(select(LeaseRow.name).where(LeaseRow.name == name)):
        return False
    values = {"name": name, "holder": holder, "expires_at": _Moment(seconds)}
    return changed_rows(session, insert_if_absent(LeaseRow).values(values)) > 0


class _Moment(ColumnElement[datetime]):
    """The time of the database, a number of seconds from now."""

    inherit_cache = False
    type = UTCDateTime()

    def __init__(self, seconds: float) -> None:
        self.seconds = float(seconds)


@compiles(_Moment, "sqlite")
def _in_sqlite(moment: _Moment, _compiler: SQLCompiler, **_: object) -> str:
    # As SQLAlchemy writes a moment, up to the digits that SQLite's clock does not have.
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', '{moment.seconds:+f} seconds')"


@compiles(_Moment, "mysql")
@compiles(_Moment, "mariadb")
def _in_mysql(moment: _Moment, _compiler: SQLCompiler, **_: object) -> str:
    return f"(UTC_TIMESTAMP(6) + INTERVAL {round(moment.seconds * 1e6)} MICROSECOND)"
