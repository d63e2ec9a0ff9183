"""Sends what several threads ask of Redis at the same moment in one round trip.

A thread that asks alone pays nothing for it. While an answer is under way, those that come queue
up, and the first of them then asks for all: a thousand threads cost a few round trips, not a
thousand, and two connections.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any, ClassVar

from strongback.redis.client import RedisClient, ScriptMissing, Server
from strongback.redis.error import RedisUnavailable
from strongback.redis.wire import Command, RedisWire

LANES = 2
"""Round trips under way at once; more would leave less to combine."""

Run = Callable[[Sequence[Command]], list[Any]]


class Script:
    """A Lua script, run by its hash; sent whole to a server that does not know it yet."""

    sources: ClassVar[dict[bytes | str | int, str]] = {}
    """Of all scripts, by hash."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
        self.sources[self.sha] = source

    def call(self, keys: Sequence[bytes], *arguments: bytes | str | int) -> Command:
        """The command that runs it."""
        return ("EVALSHA", self.sha, len(keys), *keys, *arguments)


class _Request:
    __slots__ = ("answers", "batch", "commands", "error", "follower", "turn")

    def __init__(self, commands: Sequence[Command]) -> None:
        self.commands = commands
        self.answers: list[Any] = []
        self.error: RedisUnavailable | None = None
        self.batch: _Batch | None = None
        """Everybody's requests and the lane for them, given to whoever is to run them."""
        self.follower: _Request | None = None
        """Whom to wake next."""
        self.turn = threading.Lock()
        self.turn.acquire()

    def take(self, answers: list[Any]) -> None:
        """Note what Redis said to these commands."""
        try:
            self.answers = _checked(answers)
        except RedisUnavailable as error:
            self.error = error


_Batch = tuple[Run, list[_Request]]


class Combiner:
    """Runs commands, those of other threads along with one's own. Safe to share between threads.

    Args:
        client: Whom to ask.
    """

    def __init__(self, client: RedisClient) -> None:
        self._client = client
        self.reset()

    def reset(self) -> None:
        """Forget the threads and connections of a parent process."""
        self._lock = threading.Lock()
        self._queue: list[_Request] = []
        self._lanes = [self._new_lane() for _ in range(LANES)]

    def run(self, commands: Sequence[Command]) -> list[Any]:
        """Run commands in their order and return their answers.

        Commands must bear being run twice.

        Raises:
            RedisUnavailable: There was no answer, or it was an error.
        """
        with self._lock:
            if self._lanes:
                place: Run | _Request = self._lanes.pop()
            else:
                place = _Request(commands)
                self._queue.append(place)
        if isinstance(place, _Request):
            return self._await(place)
        return self._run_alone(place, commands)

    def _await(self, request: _Request) -> list[Any]:
        try:
            request.turn.acquire()
        except BaseException:  # by a signal: others count on what was to be done here
            threading.Thread(target=self._stand_in, args=(request,), daemon=True).start()
            raise
        if request.follower is not None:
            request.follower.turn.release()
        if request.batch is not None:
            self._run_batch(request.batch)
        if request.error is not None:
            raise RedisUnavailable(str(request.error)) from request.error
        return request.answers

    def _stand_in(self, request: _Request) -> None:
        with suppress(RedisUnavailable):
            self._await(request)

    def _run_alone(self, lane: Run, commands: Sequence[Command]) -> list[Any]:
        error: RedisUnavailable | None = None
        try:
            answers = self._ask(lane, commands)
        except RedisUnavailable as failure:
            error = failure
            raise
        finally:
            self._hand_over(lane, error)
        return _checked(answers)

    def _run_batch(self, batch: _Batch) -> None:
        lane, requests = batch
        error: RedisUnavailable | None = None
        try:
            answers = self._ask(lane, [one for request in requests for one in request.commands])
            start = 0
            for request in requests:
                end = start + len(request.commands)
                request.take(answers[start:end])
                start = end
        except RedisUnavailable as failure:
            error = failure
            for request in requests:
                request.error = failure
        except BaseException:  # by a signal: the others are not to take it for an answer
            for request in requests:
                request.error = RedisUnavailable("whoever asked for all was interrupted")
            raise
        finally:
            self._hand_over(lane, error)
            _wake(requests[1:])

    def _hand_over(self, lane: Run, error: RedisUnavailable | None) -> None:
        """Give the lane to all that queue, led by their first, or leave it to whoever comes."""
        with self._lock:
            waiting, self._queue = self._queue, []
            if not waiting or error:
                self._lanes.append(lane)
        if error:
            # Nobody is to wait for another time-out: each does without Redis.
            for request in waiting:
                request.error = error
            _wake(waiting)
        elif waiting:
            waiting[0].batch = lane, waiting
            waiting[0].turn.release()

    def _ask(self, lane: Run, commands: Sequence[Command]) -> list[Any]:
        return self._client.call(lambda _: _with_scripts(lane, commands))

    def _new_lane(self) -> Run:
        server = self._client.server
        return _cluster_lane(server) if self._client.is_cluster else RedisWire(server).run


def _wake(requests: Sequence[_Request]) -> None:
    """Wake the first, who wakes the second: woken all at once, they would fight for the GIL."""
    for request, follower in pairwise(requests):
        request.follower = follower
    if requests:
        requests[0].turn.release()


def _cluster_lane(server: Server) -> Run:
    """A cluster's keys live on several servers, which redis-py knows how to find."""

    def run(commands: Sequence[Command]) -> list[Any]:
        return [_run_one(server, command) for command in commands]

    return run


def _run_one(server: Server, command: Command) -> Any:  # noqa: ANN401  as redis-py
    # redis-py reads the answer of SET as yes or no, unless it is told of GET.
    options = {"get": True} if command[0] == "SET" else {}
    try:
        return server.execute_command(*command, **options)  # type: ignore[no-untyped-call]  # redis-py
    except ScriptMissing as error:
        return error


def _with_scripts(lane: Run, commands: Sequence[Command]) -> list[Any]:
    answers = lane(commands)
    unknown = [place for place, answer in enumerate(answers) if type(answer) is ScriptMissing]
    if unknown:
        whole = [_whole(commands[place]) for place in unknown]
        for place, answer in zip(unknown, lane(whole), strict=True):
            answers[place] = answer
    return answers


def _whole(command: Command) -> Command:
    return ("EVAL", Script.sources[command[1]], *command[2:])


def _checked(answers: list[Any]) -> list[Any]:
    for answer in answers:
        if isinstance(answer, Exception):
            raise RedisUnavailable(f"Redis: {answer}") from answer
    return answers
