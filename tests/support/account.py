"""Models and a service as slices write them, which no migration is to see."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import MetaData, String, Text, select
from sqlalchemy.orm import Mapped, mapped_column

from strongback.database import (
    Base,
    Database,
    Identified,
    Timestamps,
    UTCDateTime,
    Versioned,
    transactional,
)

THREADS = 8


class Sandbox(Base):
    """Base of the models of these tests, which no migration is to see."""

    __abstract__ = True
    metadata = MetaData(naming_convention=Base.metadata.naming_convention, info=Base.metadata.info)


class Account(Identified, Versioned, Timestamps, Sandbox):
    __tablename__ = "account"

    name: Mapped[str] = mapped_column(String(50), unique=True)
    amount: Mapped[int] = mapped_column(default=0)
    seen_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class Note(Identified, Sandbox):
    """A row without a version: nothing but locks protects it."""

    __tablename__ = "note"

    body: Mapped[str] = mapped_column(Text)


class AccountService:
    """A service as slices write it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.runs = 0

    @transactional
    def open(self, name: str, amount: int = 0) -> Account:
        account = Account(name=name, amount=amount)
        self.database.session.add(account)
        return account

    @transactional
    def open_two(self, first: str, second: str) -> tuple[Account, Account]:
        return self.open(first), self.open(second)

    @transactional
    def deposit(self, name: str, amount: int) -> int:
        self.runs += 1
        account = self.find(name)
        account.amount += amount
        return account.amount

    def find(self, name: str) -> Account:
        return self.database.session.scalars(select(Account).where(Account.name == name)).one()
