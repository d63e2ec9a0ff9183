"""The manager: the operations on nodes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Any, ParamSpec, TypeVar
from weakref import WeakSet

from strongback.cache.cached_function import CachedFunction, result_type, wrap
from strongback.cache.error import CacheMisuse, require_text
from strongback.cache.loader import Load, Renewal
from strongback.cache.local_storage import LocalStorage
from strongback.cache.node import Node, Policy, StorageOptions, adapter_for, require_node
from strongback.cache.plan import Filter, Plan
from strongback.cache.reader import Reader
from strongback.cache.s3_fifo import MOST_USES
from strongback.cache.serializer import JSONSerializer, Serializer
from strongback.cache.single_flight import SingleFlight
from strongback.cache.stats import Stats
from strongback.cache.storage import SharedStorage, Storage

T = TypeVar("T")
P = ParamSpec("P")
R = TypeVar("R")


class Manager:
    """Reads and writes nodes through their storages. Safe to share between threads.

    Args:
        serializer: How values become bytes for storages outside the process.
    """

    def __init__(self, serializer: Serializer | None = None) -> None:
        self._serializer = serializer or JSONSerializer()
        self._storages: dict[str, Storage] = {}
        self._shared: SharedStorage | None = None
        self._plans: dict[type[Node[Any]], Plan] = {}
        self._declared: list[Plan] = []
        self._flights = SingleFlight()
        self._reader = Reader(self._flights)
        _managers.add(self)

    # Storages

    def register_storage(self, name: str, storage: Storage) -> None:
        """Make a storage known to nodes by a name.

        Raises:
            CacheMisuse: The name is taken or no name, or this is no storage.
        """
        require_text("name", name)
        if name in self._storages:
            raise CacheMisuse(f"a storage is registered as {name!r} already; choose another name")
        methods = ("get_all", "set_all", "remove", "clear", "count")
        if isinstance(storage, type) or not all(hasattr(storage, item) for item in methods):
            raise CacheMisuse(f"{storage!r} is no storage; it needs {', '.join(methods)}")
        if isinstance(storage, SharedStorage):
            if self._shared is not None:
                raise CacheMisuse("there is a shared storage already; one keeps processes coherent")
            self._shared = storage
            storage.listen(self._forget, self._forget_all)
        self._storages[name] = storage

    @property
    def is_shared(self) -> bool:
        """Whether there is a storage that other processes use as well."""
        return self._shared is not None

    @property
    def all_storage(self) -> Mapping[str, Storage]:
        """The registered storages, by name."""
        return MappingProxyType(self._storages)

    def close(self) -> None:
        """Close the storages that hold something open."""
        for storage in self._storages.values():
            close = getattr(storage, "close", None)
            if callable(close):
                close()

    def register_node(self, *kinds: type[Node[Any]]) -> None:
        """Check that the nodes' storages are there, at start rather than at the first request.

        Raises:
            CacheMisuse: One is not registered.
        """
        for kind in kinds:
            self._plan(kind)

    def filter(self, kind: type[Node[Any]], known: Filter) -> None:
        """Ask a filter first: a key that it does not know has no value, and nothing is touched."""
        self._plan(kind).filter = known

    def _plan(self, kind: type[Node[Any]]) -> Plan:
        plan = self._plans.get(kind)
        if plan is None:
            require_node(kind)
            prefix = f"{kind.prefix}:{kind.version}:"
            plan = Plan(prefix, kind.policy(), kind.adapter, self._storages, self._serializer)
            plan = self._plans.setdefault(kind, plan)
        return plan

    # Reading

    def get(self, node: Node[T]) -> T | None:
        """The node's value, from the first storage that has it or else loaded; None if absent.

        Values of a local storage are shared by all who ask: treat them as read-only.

        Raises:
            Exception: What the node's `load` raises, which is not cached.
        """
        try:
            plan = self._plans[node.__class__]
        except KeyError:
            plan = self._plan(type(node))
        key = f"{plan.prefix}{node.key()}"
        entry = plan.peek(key)
        if entry is not None and plan.clock() < entry.due:
            plan.counts.hits_before += 1
            if entry.uses < MOST_USES:
                entry.uses += 1
            value: T | None = entry.value
            return value
        if self._shared is not None:
            self._shared.await_channel()
        found: T | None = self._reader.read(plan, key, lambda _: [node.load()])
        return found

    def get_all(self, nodes: Iterable[Node[T]]) -> list[T | None]:
        """The nodes' values in order: one round trip for each storage, one `load_all`.

        Raises:
            Exception: What `load_all` raises.
        """
        wanted = list(nodes)
        kinds = dict.fromkeys(map(type, wanted))
        if len(kinds) > 1:
            values: dict[int, T | None] = {}
            for kind in kinds:
                places = [place for place, node in enumerate(wanted) if type(node) is kind]
                found = self.get_all([wanted[place] for place in places])
                values.update(zip(places, found, strict=True))
            return [values[place] for place in range(len(wanted))]
        return self._get_all(self._plan(type(wanted[0])), wanted) if wanted else []

    def _get_all(self, plan: Plan, nodes: Sequence[Node[T]]) -> list[T | None]:
        prefix = plan.prefix
        keys = [f"{prefix}{node.key()}" for node in nodes]
        found = {} if plan.local is None else _peek_all(plan, keys)
        if len(found) < len(keys):
            if self._shared is not None:
                self._shared.await_channel()
            missing = [key for key in keys if key not in found] if found else keys
            found |= self._reader.read_all(plan, missing, _batch_loader(keys, nodes))
        return [found[key] for key in keys]

    # Writing

    def set(self, node: Node[T], value: T | None) -> None:
        """Put a value into every storage of the node; None says that there is none.

        Where several write, `remove` is safer: two who set at once may do so in the wrong order.

        Raises:
            pydantic.ValidationError: The value is not of the node's type.
        """
        plan = self._plan(type(node))
        key = f"{plan.prefix}{node.key()}"
        if value is not None:
            value = plan.adapter.validate_python(value)
        flight = self._flights.replace(key)
        try:
            if (tier := plan.shared_tier) is not None:
                tier.storage.set_all({key: plan.item(tier, value, 0)}, plan.codec)
            elif self._shared is not None:
                self._shared.announce([key])
            self._flights.store(flight, [key], lambda _: plan.keep({key: value}, 0))
            flight.values[key] = value
        finally:
            self._flights.finish(flight, [key])

    def remove(self, node: Node[Any], storage: str | None = None) -> None:
        """Forget a node's value: everywhere, or in one storage.

        A local storage forgets in every process. Whoever loads the value meanwhile does not get
        to keep it.

        Raises:
            CacheMisuse: No such storage is registered.
        """
        self.remove_all([node], storage)

    def remove_all(self, nodes: Iterable[Node[Any]], storage: str | None = None) -> None:
        """Forget the values of several nodes at once; see `remove`.

        Raises:
            CacheMisuse: No such storage is registered.
        """
        self._remove([self.key_of(node) for node in nodes], storage)

    def key_of(self, node: Node[Any]) -> str:
        """The key under which storages keep a node's value."""
        return f"{self._plan(type(node)).prefix}{node.key()}"

    def remove_keys(self, keys: Iterable[str]) -> bool:
        """Forget what is kept under these keys, everywhere.

        Returns:
            Whether every process has been told; the shared storage may be away, which will be told
            on its return.
        """
        return self._remove(list(dict.fromkeys(keys)))

    def _remove(self, keys: Sequence[str], storage: str | None = None) -> bool:
        if storage is not None and storage not in self._storages:
            raise CacheMisuse(f"no storage is registered as {storage!r}; see all_storage")
        if not keys:
            return True
        one, is_told = self._storages[storage] if storage is not None else None, True
        # The shared storage first: what is read from it until then is still in flight below.
        if self._shared is not None:
            is_here = one in {None, self._shared}
            is_told = self._shared.remove(keys) if is_here else self._shared.announce(keys)
        private = [item for item in self._private() if one is None or item is one]
        self._flights.remove(keys, lambda: _remove_from(private, keys))
        return is_told

    def refresh(self, node: Node[T]) -> T | None:
        """Load a node's value now, put it into every storage, and return it.

        Raises:
            Exception: What the node's `load` raises; then what was cached stays.
        """
        plan = self._plan(type(node))
        key = f"{plan.prefix}{node.key()}"
        value: T | None = self._refresh(plan, key, lambda _: [node.load()])
        return value

    def _refresh(self, plan: Plan, key: str, load: Load) -> Any:  # noqa: ANN401  the node's type
        value = self._reader.renew(plan, key, load)
        if self._shared is not None:
            self._shared.announce([key])
        return value

    def clear(self) -> None:
        """Empty every storage, in every process."""
        if self._shared is not None:
            self._shared.clear()
        self._forget_all()

    # Functions

    def cached(
        self,
        *,
        storages: Sequence[str | StorageOptions],
        ttl: timedelta | None = None,
        prefix: str = "",
        version: int | str = 1,
        stale: timedelta = timedelta(0),
    ) -> Callable[[Callable[P, R]], CachedFunction[P, R]]:
        """Cache what a function returns, by its arguments.

        Args:
            storages: As a node's.
            ttl: How long results are kept, in storages that say nothing else; five minutes.
            prefix: Beginning of every key; module and name of the function unless it is given.
            version: Change it with the meaning of the results.
            stale: How long a result is served after that while a newer one is made behind it.

        Raises:
            CacheMisuse: The function or an argument here cannot work.
        """

        def decorate(function: Callable[P, R]) -> CachedFunction[P, R]:
            kind = result_type(function)
            name = f"{function.__module__}.{function.__qualname__}"
            lifetime = Node.ttl if ttl is None else ttl
            policy = Policy(name, storages, ttl=lifetime, absent_ttl=lifetime, stale=stale)
            return wrap(self.declare(prefix or name, version, policy, kind), function, self)

        return decorate

    def declare(
        self, prefix: str, version: int | str, policy: Policy, kind: Any  # noqa: ANN401  any type
    ) -> Plan:
        """How values are cached that have no class of nodes: of functions and lists.

        Raises:
            CacheMisuse: A storage is not registered, or pydantic does not know the type.
        """
        adapter = adapter_for(policy.owner, kind)
        plan = Plan(f"{prefix}:{version}:", policy, adapter, self._storages, self._serializer)
        self._declared.append(plan)
        return plan

    def read_key(
        self, plan: Plan, key: str, load: Callable[[], Any]
    ) -> Any:  # noqa: ANN401  any value
        """The value of a key, from a storage or loaded: for functions and lists."""
        if self._shared is not None:
            self._shared.await_channel()
        return self._reader.read(plan, key, lambda _: [load()])

    def renew_key(
        self, plan: Plan, key: str, load: Callable[[], Any], kept: T, renewal: Renewal
    ) -> T:
        """A newer value than what is kept, from one loader; that one for everybody else."""
        return self._reader.renew_once(plan, key, lambda _: [load()], kept, renewal)

    def refresh_key(
        self, plan: Plan, key: str, load: Callable[[], Any]
    ) -> Any:  # noqa: ANN401  any value
        """The value of a key, loaded now: for functions and lists."""
        return self._refresh(plan, key, lambda _: [load()])

    def remove_key(self, key: str) -> None:
        """Forget the value of a key: for cached functions."""
        self._remove([key])

    # Knowing

    def stats(self, kind: type[Node[Any]]) -> Stats:
        """What nodes of this kind have done in this process."""
        return self._plan(kind).counts.snapshot()

    def all_stats(self) -> dict[str, Stats]:
        """The same of every kind of node and every function in use, by prefix."""
        plans = [*self._plans.values(), *self._declared]
        return {plan.prefix.rsplit(":", 2)[0]: plan.counts.snapshot() for plan in plans}

    # Coherence

    def _private(self) -> list[Storage]:
        return [item for item in self._storages.values() if item is not self._shared]

    def _forget(self, keys: Sequence[str]) -> None:
        """Another process has removed these."""
        self._flights.remove(keys, lambda: _remove_from(self._private(), keys))

    def _forget_all(self) -> None:
        """Removals may have been missed, so nothing that is kept here can be believed."""

        def clear() -> None:
            for storage in self._private():
                storage.clear()

        self._flights.clear(clear)

    def reset_after_fork(self) -> None:
        """Leave threads and values of the parent process behind."""
        self._flights.reset()
        self._reader.reset()
        for storage in self._storages.values():
            if isinstance(storage, LocalStorage):
                storage.reset_after_fork()


def _remove_from(storages: Iterable[Storage], keys: Sequence[str]) -> None:
    for storage in storages:
        storage.remove(keys)


def _peek_all(plan: Plan, keys: Sequence[str]) -> dict[str, Any]:
    """What the local storage has and is simply good."""
    found = {}
    entries = [plan.peek(key) for key in keys]
    now = plan.clock()
    for key, entry in zip(keys, entries, strict=True):
        if entry is not None and now < entry.due:
            found[key] = entry.value
            entry.uses = 1
    plan.counts.hits_before += len(found)
    return found


def _batch_loader(all_keys: Sequence[str], all_nodes: Sequence[Node[Any]]) -> Load:
    def load(keys: Sequence[str]) -> Sequence[Any]:
        named = dict(zip(all_keys, all_nodes, strict=True))
        nodes = [named[key] for key in keys]
        loaded = type(nodes[0]).load_all(nodes)
        if isinstance(loaded, Mapping):
            return [loaded.get(node.key()) for node in nodes]
        return loaded

    return load


_managers: WeakSet[Manager] = WeakSet()


def _forget_parent() -> None:
    for manager in _managers:
        manager.reset_after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_forget_parent)
