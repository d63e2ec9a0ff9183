"""The cache against a plain dictionary: whatever is done in whatever order, they agree."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from strongback.cache import LocalStorage, Manager
from tests.support.cache import Clock, Source, word_node

EXAMPLES = 60 if "TEST_LONG" in os.environ else 20
NAMES = st.sampled_from(["a", "b", "c"])
VALUES = st.one_of(st.none(), st.text(max_size=3))
TTL, ABSENT_TTL = 60.0, 5.0


class CacheMachine(RuleBasedStateMachine):
    """`kept` says what the cache holds and until when; the source changes behind its back."""

    @initialize()
    def begin(self) -> None:
        self.clock, self.source = Clock(), Source()
        self.cache = Manager()
        self.cache.register_storage("local", LocalStorage(100, clock=self.clock))
        self.node = word_node(
            self.source,
            "local",
            ttl=timedelta(seconds=TTL),
            absent_ttl=timedelta(seconds=ABSENT_TTL),
        )
        self.kept: dict[str, tuple[Any, float]] = {}

    def keep(self, name: str, value: str | None) -> None:
        self.kept[name] = (value, self.clock.now + (ABSENT_TTL if value is None else TTL))

    def expect(self, name: str) -> str | None:
        value: str | None
        value, end = self.kept.get(name, (None, 0.0))
        if self.clock.now >= end:
            value = self.source.values.get(name)
            self.keep(name, value)
        return value

    @rule(name=NAMES, value=VALUES)
    def change_source(self, name: str, value: str | None) -> None:
        self.source.values.pop(name, None)
        if value is not None:
            self.source.values[name] = value

    @rule(name=NAMES)
    def get(self, name: str) -> None:
        assert self.cache.get(self.node(name)) == self.expect(name)

    @rule(names=st.lists(NAMES, max_size=5))
    def get_all(self, names: list[str]) -> None:
        found = self.cache.get_all([self.node(name) for name in names])
        assert found == [self.expect(name) for name in names]

    @rule(name=NAMES, value=VALUES)
    def set(self, name: str, value: str | None) -> None:
        self.cache.set(self.node(name), value)
        self.keep(name, value)

    @rule(name=NAMES)
    def remove(self, name: str) -> None:
        self.cache.remove(self.node(name))
        self.kept.pop(name, None)

    @rule(name=NAMES)
    def refresh(self, name: str) -> None:
        value = self.source.values.get(name)
        assert self.cache.refresh(self.node(name)) == value
        self.keep(name, value)

    @rule()
    def clear(self) -> None:
        self.cache.clear()
        self.kept.clear()

    @rule(seconds=st.sampled_from([1.0, 4.0, 5.0, 30.0, 60.0]))
    def let_time_pass(self, seconds: float) -> None:
        self.clock.now += seconds

    @invariant()
    def nothing_is_in_flight(self) -> None:
        assert len(self.cache._flights) == 0


TestCacheMachine = pytest.mark.usefixtures("is_long")(CacheMachine.TestCase)
TestCacheMachine.settings = settings(max_examples=EXAMPLES, stateful_step_count=40, deadline=None)
