"""Telephones that show what was sent to them, and codes whose time can be moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from strongback.config import Settings
from strongback.database import Database, utc_now
from strongback.sms import Receipt, SmsCodes, sms_tasks
from strongback.sms.code import CodePurpose
from strongback.sms.exceptions import SmsTimeout
from strongback.sms.sms_model import SmsCode, SmsQuota
from tests.support.task import TaskHarness

PHONE = "+8613800138000"
OTHER = "+8613800138001"
ADDRESS = "192.0.2.1"


@dataclass
class Telephones:
    """A sender that delivers at once."""

    received: list[tuple[str, str]] = field(default_factory=list)
    """Number and text of each message, the first first."""
    references: list[str] = field(default_factory=list)
    templates: list[str | None] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    """What the next messages fail with."""
    lost_receipts: int = 0
    """How many of the next messages arrive although nobody hears of it."""

    def send(
        self, phone: str, params: Sequence[str], *, template: str | None = None, reference: str = ""
    ) -> Receipt:
        """Show the message, or fail."""
        if self.failures:
            raise self.failures.pop(0)
        self.received.append((phone, " ".join(params)))
        self.references.append(reference)
        self.templates.append(template)
        if self.lost_receipts:
            self.lost_receipts -= 1
            raise SmsTimeout
        return Receipt(f"receipt-{len(self.received)}")

    def code(self, phone: str = PHONE) -> str:
        """The last code that came to a number."""
        return [code for number, code in self.received if number == phone][-1]


class CodesHarness:
    """Codes with a worker and telephones; several on one database are as many processes."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.tasks = TaskHarness(database)
        self.telephones = Telephones()
        self.codes = SmsCodes(database, self.tasks.outbox, self.telephones, settings)
        self.tasks.registry.add(sms_tasks(self.codes))
        self.database = database
        self.handles: dict[str, str] = {}
        """The latest handle for each number."""

    def request(self, phone: str = PHONE, address: str = ADDRESS) -> None:
        """Ask for a code, and keep its handle."""
        self.handles[phone] = self.codes.request(phone, CodePurpose.SIGN_IN, address)

    def ask(self, phone: str = PHONE, address: str = ADDRESS) -> str:
        """Ask for a code, have it sent, and read it from the telephone."""
        self.request(phone, address)
        self.tasks.work()
        return self.telephones.code(phone)

    def is_right(self, phone: str, code: str) -> bool:
        """Try a code with the latest handle."""
        handle = self.handles.get(phone, "0" * 32)
        return self.codes.is_right(handle, phone, CodePurpose.SIGN_IN, code)

    def wait(self, time: timedelta) -> None:
        """Let so much time pass for every code."""
        with self.database.scope():
            self.database.transact(lambda session: _age(session, time))

    def wait_a_day(self) -> None:
        """Let yesterday's counts be yesterday's."""
        self.wait(timedelta(days=1))
        values = {"day": utc_now().date() - timedelta(days=1)}
        with self.database.scope():
            query = update(SmsQuota).values(values)
            self.database.transact(lambda session: session.execute(query))

    def row(self, phone: str = PHONE) -> SmsCode | None:
        """What is stored of a number's code."""
        with self.database.scope():
            self.database.session.rollback()
            row = self.database.session.scalar(
                select(SmsCode).where(SmsCode.phone == phone).order_by(SmsCode.id.desc())
            )
            self.database.session.expunge_all()
        return row


def _age(session: Session, time: timedelta) -> None:
    for row in session.scalars(select(SmsCode)):
        row.requested_at -= time
        row.expires_at -= time


def another(code: str) -> str:
    """A code that is not this one."""
    return f"{(int(code) + 1) % 1_000_000:06}"
