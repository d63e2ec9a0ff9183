"""The function cache."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum
from functools import partial
from typing import Any

import pytest

from strongback.cache import CachedFunction, CacheMisuse, Manager, RedisStorage
from tests.support.cache import Clock


class Colour(Enum):
    RED = 1
    BLUE = 2


@pytest.fixture
def calls() -> list[tuple[Any, ...]]:
    return []


@pytest.fixture
def echo(local_cache: Manager, calls: list[tuple[Any, ...]]) -> CachedFunction[..., str]:
    @local_cache.cached(storages=["local"], ttl=timedelta(seconds=30))
    def echo(value: object, other: object = 1, *rest: object, **named: object) -> str:
        calls.append((value, other))
        return f"{value!r} {other!r} {rest!r} {named!r}"

    return echo


def test_calls_once_for_the_same_arguments(
    echo: CachedFunction[..., str], calls: list[tuple[Any, ...]]
) -> None:
    assert [echo("a"), echo("a"), echo("b")] == [echo("a"), echo("a"), echo("b")]
    assert len(calls) == 2


def test_it_does_not_matter_how_arguments_are_passed(
    echo: CachedFunction[..., str], calls: list[tuple[Any, ...]]
) -> None:
    echo("a")
    echo(value="a")
    echo("a", 1)
    echo(other=1, value="a")

    assert len(calls) == 1


@pytest.mark.parametrize(
    "one, other",
    [
        (1, True),
        (1, 1.0),
        (1, "1"),
        (None, "None"),
        (b"a", "a"),
        ((1,), (True,)),
        ((1,), [1]),
        (("a", "b"), ("a,b",)),
        ({"a": 1}, {"a": True}),
        ({1}, frozenset({1})),
        (Colour.RED, Colour.BLUE),
        (Colour.RED, 1),
        (date(2026, 1, 2), "2026-01-02"),
        (Decimal("1.0"), Decimal("1.00")),
        ("x" * 300, "x" * 301),
    ],
)
def test_different_arguments_are_different_calls(
    echo: CachedFunction[..., str], calls: list[tuple[Any, ...]], one: object, other: object
) -> None:
    for _ in range(2):
        echo(one)
        echo(other)

    assert len(calls) == 2


def test_a_function_of_one_parameter_tells_equal_arguments_apart(local_cache: Manager) -> None:
    class Shout(str):
        __slots__ = ()

    @local_cache.cached(storages=["local"], ttl=timedelta(seconds=30))
    def kind(value: object = 7) -> str:
        return f"{type(value).__name__} {value}"

    arguments = [1, True, 1.0, "1", Decimal(1), None, (1,), (True,)]
    for _ in range(2):
        for value in arguments:
            assert kind(value) == f"{type(value).__name__} {value}"
        assert kind() == kind(7) == kind(value=7) == "int 7"

    assert kind.stats().loads == len(arguments) + 1
    with pytest.raises(CacheMisuse, match="Shout"):
        kind(Shout("1"))
    with pytest.raises(TypeError, match="too many"):
        kind(1, 2)  # type: ignore[call-arg]  # to see it refused


@pytest.mark.parametrize(
    "one, other", [({"a": 1, "b": 2}, {"b": 2, "a": 1}), ({1, 2, 3}, {3, 2, 1}), ([1], [1])]
)
def test_equal_containers_are_one_call(
    echo: CachedFunction[..., str], calls: list[tuple[Any, ...]], one: object, other: object
) -> None:
    echo(one)
    echo(other)

    assert len(calls) == 1


def test_an_argument_without_a_key_is_refused(echo: CachedFunction[..., str]) -> None:
    with pytest.raises(CacheMisuse, match="object"):
        echo(object())


def test_wrong_arguments_are_the_usual_error(echo: CachedFunction[..., str]) -> None:
    with pytest.raises(TypeError, match="missing a required argument"):
        echo()


def test_calls_again_after_the_lifetime(
    echo: CachedFunction[..., str], calls: list[tuple[Any, ...]], clock: Clock
) -> None:
    echo("a")
    clock.now += 31
    echo("a")

    assert len(calls) == 2


def test_removing_forgets_these_arguments_alone(
    echo: CachedFunction[..., str], calls: list[tuple[Any, ...]]
) -> None:
    echo("a")
    echo("b")
    echo.remove(value="a")
    echo("a")
    echo("b")

    assert len(calls) == 3


def test_refreshing_calls_and_keeps(
    echo: CachedFunction[..., str], calls: list[tuple[Any, ...]]
) -> None:
    echo("a")
    assert echo.refresh("a") == echo("a")

    assert len(calls) == 2


def test_none_is_a_result_like_any_other(local_cache: Manager, clock: Clock) -> None:
    calls: list[int] = []

    @local_cache.cached(storages=["local"], ttl=timedelta(seconds=30))
    def nothing() -> None:
        calls.append(1)

    nothing()
    clock.now += 20
    nothing()

    assert calls == [1]


def test_counts_are_kept_for_each_function(echo: CachedFunction[..., str]) -> None:
    echo("a")
    echo("a")

    stats = echo.stats()
    assert (stats.requests, stats.hits, stats.loads) == (2, {"local": 1}, 1)


def test_keeps_name_and_docstring(local_cache: Manager) -> None:
    @local_cache.cached(storages=["local"])
    def documented() -> int:
        """Say something."""
        return 1

    assert (documented.__name__, documented.__doc__) == ("documented", "Say something.")  # type: ignore[attr-defined]  # a function's own


class TestRefusals:
    def test_an_asynchronous_function(self, local_cache: Manager) -> None:
        with pytest.raises(CacheMisuse, match="asynchronous"):

            @local_cache.cached(storages=["local"])
            async def later() -> int:
                return 1

    def test_an_asynchronous_generator(self, local_cache: Manager) -> None:
        with pytest.raises(CacheMisuse, match="asynchronous"):

            @local_cache.cached(storages=["local"])
            async def later() -> AsyncIterator[int]:
                yield 1

    def test_a_generator(self, local_cache: Manager) -> None:
        with pytest.raises(CacheMisuse, match="generator"):

            @local_cache.cached(storages=["local"])
            def several() -> Iterator[int]:
                yield 1

    def test_a_method(self, local_cache: Manager) -> None:
        with pytest.raises(CacheMisuse, match="method"):

            class Shop:
                @local_cache.cached(storages=["local"])
                def price(self) -> int:
                    return 1

    def test_a_function_that_does_not_say_what_it_returns(self, local_cache: Manager) -> None:
        with pytest.raises(CacheMisuse, match="what it returns"):

            @local_cache.cached(storages=["local"])
            def silent(x):
                return x

    def test_what_is_no_function(self, local_cache: Manager) -> None:
        with pytest.raises(CacheMisuse, match="no function"):
            local_cache.cached(storages=["local"])(partial(str, 5))

    @pytest.mark.parametrize(
        "options",
        [
            {"storages": []},
            {"storages": "local"},
            {"storages": ["unknown"]},
            {"storages": ["local"], "ttl": 5},
            {"storages": ["local"], "ttl": timedelta(0)},
            {"storages": ["local"], "ttl": timedelta(seconds=-5)},
        ],
        ids=str,
    )
    def test_options_that_cannot_work(self, local_cache: Manager, options: dict[str, Any]) -> None:
        with pytest.raises(CacheMisuse):

            @local_cache.cached(**options)
            def number() -> int:
                return 1


def test_results_come_back_from_redis_as_the_declared_type(remote: RedisStorage) -> None:
    cache = Manager()
    cache.register_storage("redis", remote)

    @cache.cached(storages=["redis"])
    def days(count: int) -> dict[date, tuple[int, ...]]:
        return {date(2026, 1, 1 + number): (number,) for number in range(count)}

    assert days(2) == days(2) == {date(2026, 1, 1): (0,), date(2026, 1, 2): (1,)}
    assert days.stats().hits == {"redis": 1}
