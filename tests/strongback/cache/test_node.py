"""What cannot work is refused when a node is defined, and says how to put it right."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Generic, TypeVar

import pytest

from strongback.cache import CachedList, CacheMisuse, LocalStorage, Manager, Node

T = TypeVar("T")


def define(kind: Any = str, **members: Any) -> type[Node[Any]]:
    """A node with one thing about it changed."""

    class Defined(Node[kind]):
        storages = members.pop("storages", ("local",))
        locals().update(members)

        def key(self) -> str:
            return ""

        def load(self) -> Any:
            return None

    return Defined


@pytest.mark.parametrize(
    "storages",
    [
        (),
        [],
        "local",
        None,
        5,
        [""],
        [5],
        [None],
        ["local", "local"],
        ["local", {"storage": "local"}],
        [{}],
        [{"ttl": timedelta(seconds=1)}],
        [{"storage": "redis", "ttl": 5}],
        [{"storage": "redis", "ttl": timedelta(0)}],
        [{"storage": "redis", "ttl": timedelta(seconds=-1)}],
        [{"storage": "redis", "tttl": timedelta(seconds=1)}],
    ],
)
def test_storages_are_names_or_names_with_a_lifetime(storages: object) -> None:
    with pytest.raises(CacheMisuse, match=r"Defined: "):
        define(storages=storages)


@pytest.mark.parametrize(
    "option",
    [
        {"ttl": 60},
        {"ttl": timedelta(0)},
        {"absent_ttl": timedelta(seconds=-1)},
        {"absent_ttl": None},
        {"lease": timedelta(0)},
        {"stale": timedelta(seconds=-1)},
        {"jitter": 1},
        {"jitter": -0.1},
        {"early": -1},
        {"prefix": ""},
        {"prefix": "a:b"},
        {"version": 1.5},
        {"version": "1:2"},
    ],
    ids=str,
)
def test_an_option_that_cannot_work_is_named(option: dict[str, Any]) -> None:
    with pytest.raises(CacheMisuse, match=next(iter(option))):
        define(**option)


def test_a_node_says_the_type_of_its_values() -> None:
    with pytest.raises(CacheMisuse, match="have no type"):

        class Untyped(Node):  # type: ignore[type-arg]  # what is tested
            storages = ("local",)


@pytest.mark.parametrize("kind", ["ArticleOut", type("Opaque", (), {})])
def test_a_type_that_cannot_be_validated_is_refused(kind: object) -> None:
    with pytest.raises(CacheMisuse, match="type"):
        define(kind)


class TestPrefixes:
    """A prefix belongs to one kind of value of a manager; the second is refused, naming both."""

    def test_of_two_nodes(self, local_cache: Manager) -> None:
        first, second = define(prefix="mine"), define(prefix="mine")
        first.__qualname__, second.__qualname__ = "First", "Second"
        local_cache.register_node(first)

        with pytest.raises(
            CacheMisuse, match=r"\.Second: its prefix 'mine' is that of tests.*\.First;"
        ):
            local_cache.register_node(second)

    def test_of_a_node_and_a_list(self, local_cache: Manager) -> None:
        CachedList(local_cache, "mine", str, storages=["local"])

        with pytest.raises(CacheMisuse, match=r"Defined: its prefix 'mine' is that of mine"):
            local_cache.register_node(define(prefix="mine"))

    def test_of_another_manager_does_not_count(self, local_cache: Manager) -> None:
        local_cache.register_node(define(prefix="mine"))
        other = Manager()
        other.register_storage("local", LocalStorage(10))

        other.register_node(define(prefix="mine"))


class TestParts:
    """Storages and serializers are looked at when they are handed over."""

    @pytest.mark.parametrize("storage", [object(), "local", None])
    def test_a_storage_says_what_it_lacks(self, storage: Any) -> None:
        with pytest.raises(CacheMisuse, match=r"is no storage; it lacks get_all, set_all"):
            Manager().register_storage("other", storage)

    def test_a_class_is_no_storage(self) -> None:
        with pytest.raises(CacheMisuse, match=r"give an object, such as LocalStorage\(\)"):
            Manager().register_storage("local", LocalStorage)  # type: ignore[arg-type]  # the mistake

    def test_a_serializer_says_what_it_lacks(self) -> None:
        with pytest.raises(CacheMisuse, match="is no serializer; it lacks codec"):
            Manager(object())  # type: ignore[arg-type]  # the mistake


def test_the_prefix_is_the_name_of_the_class() -> None:
    assert define().prefix.endswith("define.<locals>.Defined")


def test_a_base_of_nodes_may_leave_things_open() -> None:
    class Base(Node[T], Generic[T]):
        ttl = timedelta(seconds=7)

    class Child(Base[int]):
        storages = ("local",)

        def key(self) -> str:
            return ""

        def load(self) -> int | None:
            return 1

    assert Child.value_type is int
    assert Child.policy().ttl == timedelta(seconds=7)
