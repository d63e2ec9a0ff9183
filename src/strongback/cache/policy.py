"""Storages and lifetimes of one kind of values."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from hashlib import sha256
from typing import Annotated, Any, Required, TypedDict

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation

from strongback.cache.error import CacheMisuse
from strongback.cache.serializer import adapter_of

LONGEST_KEY = 200
"""Characters of a key; a longer one is replaced by its hash."""

_Name = Annotated[str, Field(pattern="^[^:]+$")]
_Lifetime = Annotated[timedelta, Field(gt=timedelta(0))]


class StorageOptions(TypedDict, total=False):
    """One storage of a node, with a lifetime of its own."""

    storage: Required[str]
    """The name under which it is registered."""
    ttl: timedelta
    """Lifetime of a value there; the node's own unless given."""


LOCAL_AND_REDIS: Sequence[str | StorageOptions] = (
    {"storage": "local", "ttl": timedelta(seconds=2)},
    "redis",
)
"""Storages of an application. The local one is short: so long one process may miss what changes
while it does not hear of the others."""


class _Storage(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    storage: _Name
    ttl: _Lifetime | None = None


class Policy(BaseModel):
    """The options of a node, a function or a list; see `Node` for each."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    owner: str
    prefix: _Name
    version: int | _Name = 1
    storages: Annotated[Sequence[_Name | _Storage], Field(min_length=1)]
    ttl: _Lifetime = timedelta(minutes=5)
    absent_ttl: _Lifetime = timedelta(seconds=5)
    stale: Annotated[timedelta, Field(ge=timedelta(0))] = timedelta(0)
    jitter: Annotated[float, Field(ge=0, lt=1)] = 0.1
    early: Annotated[float, Field(ge=0)] = 1.0
    lease: _Lifetime = timedelta(seconds=3)
    fills: Annotated[int, Field(ge=1)] | None = None

    @classmethod
    def of(cls, owner: str, **options: Any) -> Policy:  # noqa: ANN401  checked here
        """Return a policy; `CacheMisuse`, naming the option, if one cannot work."""
        try:
            policy = cls(owner=owner, **options)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"][:2])
            raise CacheMisuse(f"{owner}: {where} is {first['input']!r}; {first['msg']}") from error
        names = [name for name, _ in policy.lifetimes()]
        if len(set(names)) < len(names):
            raise CacheMisuse(f"{owner}: storages names one twice: {names}")
        return policy

    def lifetimes(self) -> list[tuple[str, float]]:
        """Return the name of each storage, in order, and the seconds for which it keeps a value."""
        storages = [
            _Storage(storage=item) if isinstance(item, str) else item for item in self.storages
        ]
        return [(item.storage, (item.ttl or self.ttl).total_seconds()) for item in storages]


def adapter_for(owner: str, kind: Any) -> TypeAdapter[Any]:  # noqa: ANN401  any type expression
    """Return the adapter of a type; `CacheMisuse`, naming the owner, if there is none."""
    try:
        return adapter_of(kind)
    except (PydanticSchemaGenerationError, PydanticUndefinedAnnotation) as error:
        message = f"values of {kind!r} cannot be validated; use a type that pydantic knows"
        raise CacheMisuse(f"{owner}: {message}") from error


def short_key(text: str) -> str:
    """Return a text as a key: itself, or its hash where it is long."""
    if len(text) <= LONGEST_KEY:
        return text
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
