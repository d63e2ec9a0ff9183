"""Nodes that are read from a database, several by one query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from sqlalchemy.orm import Session

from strongback.cache.error import CacheMisuse
from strongback.cache.node import Node
from strongback.database import Database

T = TypeVar("T")


class DatabaseNode(Node[T]):
    """A kind of value that is read from a database by its key.

        class ArticleNode(DatabaseNode[ArticleOut]):
            storages = LOCAL_AND_REDIS

            @classmethod
            def read(cls, session: Session, keys: Sequence[str]) -> Mapping[str, ArticleOut]:
                rows = session.scalars(select(Article).where(Article.slug.in_(keys)))
                return {row.slug: ArticleOut.model_validate(row) for row in rows}

    Args:
        name: The key.
        database: Stores the values; not needed by a node that names a value to remove.
    """

    def __init__(self, name: str, database: Database | None = None) -> None:
        self.name = name
        self.database = database

    @classmethod
    def read(cls, session: Session, keys: Sequence[str]) -> Mapping[str, T]:
        """Read the values of some keys; those without a value are left out."""
        raise NotImplementedError

    def key(self) -> str:
        """Return the key."""
        return self.name

    def load(self) -> T | None:
        """Read the value."""
        return self.load_all([self]).get(self.name)

    @classmethod
    def load_all(cls, nodes: Sequence[DatabaseNode[T]]) -> Mapping[str, T]:
        """Read the values of several nodes.

        Raises:
            CacheMisuse: The nodes have no database.
        """
        database = nodes[0].database
        if database is None:
            raise CacheMisuse(f"{cls.__qualname__}: has no database; give it one to be read")
        with database.latest() as session:
            return cls.read(session, [node.name for node in nodes])
