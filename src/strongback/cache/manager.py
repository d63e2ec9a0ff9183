"""The manager: the operations on nodes, functions and lists."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Any, ParamSpec, TypeVar

from strongback.cache.cached_function import CachedFunction, result_type, wrap
from strongback.cache.error import CacheMisuse, require_methods, require_text
from strongback.cache.loader import Load, Renewal
from strongback.cache.local_storage import LocalStorage
from strongback.cache.node import Node, require_node
from strongback.cache.plan import Filter, Plan
from strongback.cache.policy import Policy, StorageOptions, adapter_for
from strongback.cache.reader import Reader
from strongback.cache.s3_fifo import MOST_USES
from strongback.cache.serializer import JSONSerializer, Serializer
from strongback.cache.single_flight import SingleFlight
from strongback.cache.stats import Stats
from strongback.cache.storage import SharedStorage, Storage
from strongback.fork import reset_in_children

T = TypeVar("T")
P = ParamSpec("P")
R = TypeVar("R")


class Manager:
    """Reads and writes nodes through their storages. Safe to share between threads.

    Args:
        serializer: Turns values into bytes for storages outside the process; JSON unless given.

    Raises:
        CacheMisuse: The serializer has no method `codec`.
    """

    def __init__(self, serializer: Serializer | None = None) -> None:
        self._serializer = serializer or JSONSerializer()
        require_methods("serializer", self._serializer, "codec")
        self._storages: dict[str, Storage] = {}
        self._shared: SharedStorage | None = None
        self._plans: dict[type[Node[Any]], Plan] = {}
        self._prefixes: dict[str, Plan] = {}
        self._lock = threading.Lock()
        self._flights = SingleFlight()
        self._reader = Reader(self._flights)
        reset_in_children(self)

    # At the start

    def register_storage(self, name: str, storage: Storage) -> None:
        """Make a storage known to nodes by a name.

        Raises:
            CacheMisuse: The name is taken or empty, or the storage lacks a method.
        """
        require_text("name", name)
        if name in self._storages:
            raise CacheMisuse(f"a storage is registered as {name!r} already; choose another name")
        require_methods("storage", storage, "get_all", "set_all", "remove", "clear", "count")
        if isinstance(storage, SharedStorage):
            if self._shared is not None:
                raise CacheMisuse("there is a shared storage already; one keeps processes coherent")
            self._shared = storage
            storage.listen(self._forget, self._forget_all)
        self._storages[name] = storage

    def register_node(self, *kinds: type[Node[Any]]) -> None:
        """Check nodes at the start rather than at the first request.

        Raises:
            CacheMisuse: A storage of a node is not registered, or another node has its prefix.
        """
        for kind in kinds:
            self._plan(kind)

    def filter(self, kind: type[Node[Any]], known: Filter) -> None:
        """Ask a filter first: a key that it does not know has no value, and nothing is touched."""
        self._plan(kind).filter = known

    def declare(self, policy: Policy, kind: Any) -> Plan:  # noqa: ANN401  any type expression
        """Return the plan of values of a type.

        Raises:
            CacheMisuse: A storage is not registered, another node has the prefix, or pydantic does
                not know the type.
        """
        adapter = adapter_for(policy.owner, kind)
        plan = Plan(policy, adapter, self._storages, self._serializer)
        holder = self._prefixes.setdefault(policy.prefix, plan)
        if holder is not plan:
            message = f"its prefix {policy.prefix!r} is that of {holder.owner}; give it another"
            raise CacheMisuse(f"{policy.owner}: {message}")
        return plan

    def _plan(self, kind: type[Node[Any]]) -> Plan:
        if kind in self._plans:
            return self._plans[kind]
        require_node(kind)
        with self._lock:
            if kind not in self._plans:
                self._plans[kind] = self.declare(kind.policy(), kind.value_type)
        return self._plans[kind]

    @property
    def is_shared(self) -> bool:
        """True if a storage is registered that other processes use as well."""
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

    # Reading

    def get(self, node: Node[T]) -> T | None:
        """Return the node's value, from the first storage that has it or else loaded, if any.

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
        """Return the nodes' values in order, with one `load_all` for those that no storage has.

        Raises:
            Exception: What `load_all` raises.
        """
        wanted = list(nodes)
        kinds = dict.fromkeys(map(type, wanted))
        if len(kinds) == 1:
            return self._get_all(self._plan(type(wanted[0])), wanted)
        values: dict[int, T | None] = {}
        for kind in kinds:
            places = [place for place, node in enumerate(wanted) if type(node) is kind]
            found = self._get_all(self._plan(kind), [wanted[place] for place in places])
            values.update(zip(places, found, strict=True))
        return [values[place] for place in range(len(wanted))]

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
        plan, key = self._plan(type(node)), self.key_of(node)
        if value is not None:
            value = plan.adapter.validate_python(value)
        flight = self._flights.replace(key)
        try:
            if (tier := plan.shared) is not None:
                tier.storage.set_all({key: plan.item(tier, value, 0)}, plan.codec)
            elif self._shared is not None:
                self._shared.announce([key])
            self._flights.store(flight, [key], lambda _: plan.keep({key: value}, 0))
            flight.values[key] = value
        finally:
            self._flights.finish(flight, [key])

    def refresh(self, node: Node[T]) -> T | None:
        """Load a node's value now, put it into every storage, and return it.

        Raises:
            Exception: What the node's `load` raises; then what was cached stays.
        """
        plan = self._plan(type(node))
        value: T | None = self.refresh_key(plan, self.key_of(node), node.load)
        return value

    def remove(self, node: Node[Any], storage: str | None = None) -> None:
        """Forget a node's value: everywhere, or in one storage.

        A local storage forgets in every process. A load that began before keeps nothing.

        Raises:
            CacheMisuse: No such storage is registered.
        """
        self.remove_all([node], storage)

    def remove_all(self, nodes: Iterable[Node[Any]], storage: str | None = None) -> None:
        """Forget the values of several nodes at once; see `remove`.

        Raises:
            CacheMisuse: No such storage is registered.
        """
        self.remove_keys([self.key_of(node) for node in nodes], storage)

    def key_of(self, node: Node[Any]) -> str:
        """Return the key under which storages keep a node's value."""
        return f"{self._plan(type(node)).prefix}{node.key()}"

    def remove_keys(self, keys: Iterable[str], storage: str | None = None) -> bool:
        """Forget what is kept under these keys; see `remove`.

        Returns:
            Whether every process has been told. Otherwise the shared storage is away, and will be
            told on its return.

        Raises:
            CacheMisuse: No such storage is registered.
        """
        if storage is not None and storage not in self._storages:
            raise CacheMisuse(f"no storage is registered as {storage!r}; see all_storage")
        if not (names := list(dict.fromkeys(keys))):
            return True
        one = None if storage is None else self._storages[storage]
        is_told = True
        # The shared storage first: what is read from it until then is still in flight below.
        if self._shared is not None:
            is_here = one in {None, self._shared}
            is_told = self._shared.remove(names) if is_here else self._shared.announce(names)
        private = [each for each in self._private if one is None or each is one]
        self._flights.remove(names, lambda: [each.remove(names) for each in private])
        return is_told

    def clear(self) -> None:
        """Empty every storage, in every process."""
        if self._shared is not None:
            self._shared.clear()
        self._forget_all()

    # Functions and lists

    def cached(
        self,
        *,
        storages: Sequence[str | StorageOptions],
        ttl: timedelta = Node.ttl,
        prefix: str = "",
        version: int | str = 1,
        stale: timedelta = Node.stale,
    ) -> Callable[[Callable[P, R]], CachedFunction[P, R]]:
        """Cache a function's results by its arguments.

        Args:
            storages: As a node's.
            ttl: How long results are kept in storages that say nothing else.
            prefix: Beginning of every key; module and name of the function unless given.
            version: Change it with the meaning of the results.
            stale: How long after that a result is served while a newer one is made behind it.

        Raises:
            CacheMisuse: The function or an argument cannot work.
        """

        def decorate(function: Callable[P, R]) -> CachedFunction[P, R]:
            kind = result_type(function)
            name = f"{function.__module__}.{function.__qualname__}"
            policy = Policy.of(
                name,
                prefix=prefix or name,
                version=version,
                storages=storages,
                ttl=ttl,
                absent_ttl=ttl,
                stale=stale,
            )
            plan = self.declare(policy, kind)
            return wrap(plan, function, self.read_key, self.refresh_key, self.remove_keys)

        return decorate

    def read_key(
        self, plan: Plan, key: str, load: Callable[[], Any]
    ) -> Any:  # noqa: ANN401  any value
        """Return the value of a key, from a storage or loaded."""
        if self._shared is not None:
            self._shared.await_channel()
        return self._reader.read(plan, key, lambda _: [load()])

    def renew_key(
        self, plan: Plan, key: str, load: Callable[[], Any], kept: T, renewal: Renewal
    ) -> T:
        """Return a newer value than what is kept, from one loader; that one for everybody else."""
        return self._reader.renew(plan, key, lambda _: [load()], kept, renewal)

    def refresh_key(
        self, plan: Plan, key: str, load: Callable[[], Any]
    ) -> Any:  # noqa: ANN401  any value
        """Load the value of a key now."""
        value = self._reader.refresh(plan, key, lambda _: [load()])
        if self._shared is not None:
            self._shared.announce([key])
        return value

    # Counts

    def stats(self, kind: type[Node[Any]]) -> Stats:
        """Return the counts of this kind of nodes in this process."""
        return self._plan(kind).counts.snapshot()

    def all_stats(self) -> dict[str, Stats]:
        """Return the counts of every kind of nodes, function and list, by prefix."""
        return {prefix: plan.counts.snapshot() for prefix, plan in [*self._prefixes.items()]}

    # Coherence

    @property
    def _private(self) -> list[Storage]:
        return [each for each in self._storages.values() if each is not self._shared]

    def _forget(self, keys: Sequence[str]) -> None:
        """Forget what another process has removed."""
        self._flights.remove(keys, lambda: [each.remove(keys) for each in self._private])

    def _forget_all(self) -> None:
        """Forget everything: removals may have been missed."""

        def clear() -> None:
            for storage in self._private:
                storage.clear()

        self._flights.clear(clear)

    def reset_after_fork(self) -> None:
        """Leave threads and values of the parent process behind."""
        self._lock = threading.Lock()
        self._flights.reset()
        self._reader.reset()
        for storage in self._storages.values():
            if isinstance(storage, LocalStorage):
                storage.reset_after_fork()


def _peek_all(plan: Plan, keys: Sequence[str]) -> dict[str, Any]:
    """Return what the local storage has and need not be refreshed."""
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
