"""Nodes: the kinds of cached values, with their keys, storages, lifetimes and loaders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar, ForwardRef, Generic, TypeVar, get_args, get_origin

from strongback.cache.error import CacheMisuse
from strongback.cache.policy import Policy, StorageOptions, adapter_for

T = TypeVar("T")

_OPTIONS = set(Policy.model_fields) - {"owner"}


class Node(Generic[T]):
    """A kind of cached value; an instance names one value by its key.

        class ArticleNode(Node[ArticleOut]):
            storages = ["local", {"storage": "redis", "ttl": timedelta(seconds=120)}]

            def __init__(self, slug: str) -> None:
                self.slug = slug

            def key(self) -> str:
                return self.slug

            def load(self) -> ArticleOut | None:
                return articles.find(self.slug)

    An option that cannot work is refused when the class is defined.

    Raises:
        CacheMisuse: The type, a storage, a duration or a name is missing or wrong.
    """

    storages: ClassVar[Sequence[str | StorageOptions]] = ()
    """Names of storages, or names with a lifetime, in the order in which they are asked."""
    ttl: ClassVar[timedelta] = Policy.model_fields["ttl"].default
    """Lifetime of a value in storages without one of their own."""
    absent_ttl: ClassVar[timedelta] = Policy.model_fields["absent_ttl"].default
    """Lifetime of the knowledge that there is no value."""
    stale: ClassVar[timedelta] = Policy.model_fields["stale"].default
    """Time after its lifetime in which a value is served while a newer one is loaded behind it."""
    jitter: ClassVar[float] = Policy.model_fields["jitter"].default
    """Part of a lifetime that is taken off at random, so that not all end at once."""
    early: ClassVar[float] = Policy.model_fields["early"].default
    """Eagerness to refresh a value before it ends, by one reader (XFetch's beta); 0 for never."""
    lease: ClassVar[timedelta] = Policy.model_fields["lease"].default
    """Longest time for which others wait for one that loads, before one of them loads too."""
    fills: ClassVar[int | None] = None
    """New keys a second that each process adds to a shared storage at most, where strangers choose
    the keys; a minute's worth at once. Values beyond that are kept in the process alone."""
    version: ClassVar[int | str] = 1
    """Part of every key: change it with the value's type, and old values are not read."""
    prefix: ClassVar[str] = ""
    """Beginning of every key; the class's name unless given."""
    value_type: ClassVar[Any] = None
    """The declared type of the values."""

    def __init_subclass__(cls, **options: Any) -> None:  # noqa: ANN401  Python's own signature
        super().__init_subclass__(**options)
        cls.value_type = _declared_type(cls) or cls.value_type
        if cls.value_type is None:
            if any(get_origin(base) is Node for base in getattr(cls, "__orig_bases__", ())):
                return  # generic still: Node[T] of a class that others derive from
            raise CacheMisuse(
                f"{cls.__qualname__}: its values have no type; derive it from Node[Type]"
            )
        if cls.key is Node.key or cls.load is Node.load:
            return  # others derive from it
        if "prefix" not in cls.__dict__:
            cls.prefix = cls.__qualname__
        cls.policy()
        adapter_for(cls.__qualname__, cls.value_type)

    def key(self) -> str:
        """Return what tells this value from others of its kind."""
        raise NotImplementedError

    def load(self) -> T | None:
        """Read the value from its source; None if there is none."""
        raise NotImplementedError

    @classmethod
    def load_all(cls, nodes: Sequence[Any]) -> Mapping[Any, T | None] | Sequence[T | None]:
        """Read several values: one for each node in order, or a mapping by key.

        One after the other, unless a kind knows better.
        """
        return [node.load() for node in nodes]

    @classmethod
    def policy(cls) -> Policy:
        """Return where and how long values of this kind are kept.

        Raises:
            CacheMisuse: An option cannot work.
        """
        owner = f"{cls.__module__}.{cls.__qualname__}"
        return Policy.of(owner, **{name: getattr(cls, name) for name in _OPTIONS})


def require_node(kind: object) -> None:
    """Raise `CacheMisuse` for an object that is no class of nodes, or a base of such."""
    if not (isinstance(kind, type) and issubclass(kind, Node) and kind.prefix):
        raise CacheMisuse(f"{kind!r} is no node; derive it from Node[Type]")


def _declared_type(cls: type) -> Any:  # noqa: ANN401  any type expression
    for base in cls.__dict__.get("__orig_bases__", ()):
        origin = get_origin(base)
        if isinstance(origin, type) and issubclass(origin, Node):
            kind, *_ = get_args(base)
            if isinstance(kind, str | ForwardRef):
                message = f"its type is the text {kind!r}; name the type itself"
                raise CacheMisuse(f"{cls.__qualname__}: {message}")
            if not isinstance(kind, TypeVar):
                return kind
    return None
