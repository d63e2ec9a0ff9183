"""Nodes: what is cached under which key, where, for how long, and how it is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from hashlib import sha256
from typing import (
    Any,
    ClassVar,
    ForwardRef,
    Generic,
    Required,
    TypedDict,
    TypeVar,
    cast,
    get_args,
    get_origin,
)

from pydantic import TypeAdapter
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation

from strongback.cache.error import CacheMisuse
from strongback.cache.serializer import adapter_of

T = TypeVar("T")


class StorageOptions(TypedDict, total=False):
    """One storage of a node, with a lifetime of its own."""

    storage: Required[str]
    """The name under which it is registered."""
    ttl: timedelta
    """How long a value is kept there; the node's own unless it is given."""


LOCAL_AND_REDIS: Sequence[str | StorageOptions] = (
    {"storage": "local", "ttl": timedelta(seconds=2)},
    "redis",
)
"""Storages of an application. The local one is short: so long one process may miss what changes
while it does not hear of the others."""
LONGEST_KEY = 200
"""Characters of a key; a longer one is replaced by its hash."""


@dataclass(frozen=True)
class Policy:
    """Where and how long values are kept, checked when it is made; see `Node` for each option.

    Raises:
        CacheMisuse: An option cannot work.
    """

    owner: str
    storages: Sequence[str | StorageOptions]
    ttl: timedelta = timedelta(minutes=5)
    absent_ttl: timedelta = timedelta(seconds=5)
    stale: timedelta = timedelta(0)
    jitter: float = 0.1
    early: float = 1.0
    lease: timedelta = timedelta(seconds=3)
    fills: int | None = None

    def __post_init__(self) -> None:
        _check_storages(self.owner, self.storages)
        for name in ("ttl", "absent_ttl", "lease"):
            _check_duration(self.owner, name, getattr(self, name))
        _check_duration(self.owner, "stale", self.stale, least=timedelta(0))
        if not 0 <= self.jitter < 1:
            raise _misuse(self.owner, f"jitter is {self.jitter!r}; give 0 up to below 1")
        if self.early < 0:
            raise _misuse(self.owner, f"early is {self.early!r}; give 0 (never) or more")
        if self.fills is not None and self.fills < 1:
            raise _misuse(self.owner, f"fills is {self.fills!r}; give 1 or more, or None")

    def lifetimes(self) -> list[tuple[str, float]]:
        """Each storage's name, in order, and its seconds."""
        return [
            (
                (item, self.ttl.total_seconds())
                if isinstance(item, str)
                else (item["storage"], item.get("ttl", self.ttl).total_seconds())
            )
            for item in self.storages
        ]


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

    What cannot work is refused when the class is defined.

    Raises:
        CacheMisuse: The type, a storage, a duration or a name is missing or wrong.
    """

    storages: ClassVar[Sequence[str | StorageOptions]] = ()
    """Names of storages, or names with a lifetime, in the order in which they are asked."""
    ttl: ClassVar[timedelta] = Policy.ttl
    """How long a value is kept in storages that say nothing else."""
    absent_ttl: ClassVar[timedelta] = Policy.absent_ttl
    """How long it is remembered that there is no value."""
    stale: ClassVar[timedelta] = Policy.stale
    """How long after its lifetime a value is served while a newer one is loaded behind it."""
    jitter: ClassVar[float] = Policy.jitter
    """Part of a lifetime that is taken off at random, so that not all end at once."""
    early: ClassVar[float] = Policy.early
    """How eagerly one reader refreshes a value before it ends (XFetch's beta); 0 for never."""
    lease: ClassVar[timedelta] = Policy.lease
    """How long others wait at most for one that loads, before one of them loads too."""
    fills: ClassVar[int | None] = Policy.fills
    """New keys a second that each process adds to a shared storage at most, where strangers choose
    the keys; a minute's worth at once. Values beyond that are kept in the process alone."""
    version: ClassVar[int | str] = 1
    """Part of every key: change it with the value's type, and old values are not read."""
    prefix: ClassVar[str] = ""
    """Beginning of every key; the class's name unless it is given."""

    value_type: ClassVar[Any] = None
    """The declared type of the values."""

    def __init_subclass__(cls, **options: Any) -> None:  # noqa: ANN401  Python's own signature
        super().__init_subclass__(**options)
        kind = _declared_type(cls)
        if kind is not None:
            cls.value_type = kind
        if cls.value_type is None:
            if any(get_origin(base) is Node for base in getattr(cls, "__orig_bases__", ())):
                return  # generic still: Node[T] of a class that others derive from
            raise _misuse(cls.__qualname__, "its values have no type; derive it from Node[Type]")
        if cls.key is Node.key or cls.load is Node.load:
            return  # others derive from it
        if "prefix" not in cls.__dict__:
            cls.prefix = cls.__qualname__
        _check_prefix(cls)
        cls.policy()
        adapter_for(cls.__qualname__, cls.value_type)

    def key(self) -> str:
        """What tells this value from others of its kind."""
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
        """Where and how long values of this kind are kept."""
        options = {field.name: getattr(cls, field.name) for field in fields(Policy)[1:]}
        return Policy(cls.__qualname__, **options)


def short_key(text: str) -> str:
    """Return a text as a key: itself, or its hash where it is long."""
    if len(text) <= LONGEST_KEY:
        return text
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def require_node(kind: object) -> None:
    """Refuse what cannot be read or written.

    Raises:
        CacheMisuse: It is no class of nodes, or one that others derive from.
    """
    if not (isinstance(kind, type) and issubclass(kind, Node) and kind.prefix):
        raise CacheMisuse(f"{kind!r} is no node; derive it from Node[Type]")


def _check_prefix(cls: type[Node[Any]]) -> None:
    prefix: object = cls.prefix
    if not isinstance(prefix, str) or not prefix or ":" in prefix:
        raise _misuse(cls.__qualname__, f"prefix is {prefix!r}; give a name without a colon")
    version: object = cls.version
    if not isinstance(version, int | str) or ":" in str(version):
        raise _misuse(cls.__qualname__, f"version is {version!r}; give a number")


def _declared_type(cls: type) -> Any:  # noqa: ANN401  any type expression
    for base in cls.__dict__.get("__orig_bases__", ()):
        origin = get_origin(base)
        if isinstance(origin, type) and issubclass(origin, Node):
            kind, *_ = get_args(base)
            if isinstance(kind, str | ForwardRef):
                message = f"its type is the text {kind!r}; name the type itself"
                raise _misuse(cls.__qualname__, message)
            if not isinstance(kind, TypeVar):
                return kind
    return None


def adapter_for(owner: str, kind: Any) -> TypeAdapter[Any]:  # noqa: ANN401  any type expression
    """The adapter of a type, or a refusal that names its owner.

    Raises:
        CacheMisuse: pydantic does not know the type.
    """
    try:
        return adapter_of(kind)
    except (PydanticSchemaGenerationError, PydanticUndefinedAnnotation) as error:
        message = f"values of {kind!r} cannot be validated; use a type that pydantic knows"
        raise _misuse(owner, message) from error


def _check_storages(owner: str, storages: object) -> None:
    if isinstance(storages, str) or not isinstance(storages, Sequence) or not storages:
        raise _misuse(owner, f'storages is {storages!r}; list one or more, such as ["local"]')
    names = [_check_storage(owner, item) for item in storages]
    if len(set(names)) != len(names):
        raise _misuse(owner, f"storages names one twice: {names}")


def _check_storage(owner: str, item: object) -> str:
    if isinstance(item, str) and item:
        return item
    if not isinstance(item, Mapping) or not isinstance(item.get("storage"), str):
        raise _misuse(owner, f'{item!r} is no storage; name one, or {{"storage": name, "ttl": …}}')
    if unknown := item.keys() - {"storage", "ttl"}:
        raise _misuse(owner, f"a storage has no option {', '.join(map(repr, sorted(unknown)))}")
    if "ttl" in item:
        _check_duration(owner, "ttl", item["ttl"])
    return cast("str", item["storage"])


def _check_duration(
    owner: str, name: str, value: object, least: timedelta = timedelta(milliseconds=1)
) -> None:
    if not isinstance(value, timedelta) or value < least:
        message = f"{name} is {value!r}; give a timedelta, at least {least.total_seconds()} s"
        raise _misuse(owner, message)


def _misuse(owner: str, problem: str) -> CacheMisuse:
    return CacheMisuse(f"{owner}: {problem}")
