"""Sessions between processes: what one does, every other feels within a second, without Redis."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from typing import Any

import pytest

from app.core.auth.permission import Role
from app.core.config import Settings
from tests.support.sign_in import PASSWORD, House, house

__all__ = ["house"]

PROCESSES = 8
ROUNDS = 100
ONE_SECOND = 1.0


def serve(settings: Settings, pipe: Connection, together: Barrier) -> None:
    """Run the application in a process, and send it what the test asks for."""
    house = House(settings)
    pipe.send("ready")
    while (call := pipe.recv()) is not None:
        name, *arguments = call
        if name == "refresh_together":
            together.wait(30)
            answer = house.refresh(*arguments)
            pipe.send((answer.status_code, answer.get_json()))
        elif name == "refresh":
            answer = house.refresh(*arguments)
            pipe.send((answer.status_code, answer.get_json()))
        else:
            pipe.send(house.status(*arguments))
    house.close()


class Worker:
    """One process."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe = pipe

    def ask(self, *call: Any) -> Any:
        self.pipe.send(call)
        return self.pipe.recv()


@contextmanager
def workers(settings: Settings, count: int) -> Iterator[list[Worker]]:
    """Processes that serve the application on one database."""
    # Forked from a server that has imported everything once: eight imports take long.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.support.sign_in"])
    together = context.Barrier(count)
    with ExitStack() as stack:
        found = []
        for _ in range(count):
            mine, its = context.Pipe()
            process = context.Process(target=serve, args=(settings, its, together), daemon=True)
            process.start()
            stack.callback(process.join, 10)
            stack.callback(mine.send, None)
            found.append(Worker(mine))
        for worker in found:
            assert worker.pipe.poll(60)
            assert worker.pipe.recv() == "ready"
        yield found


def refresh_together(house: House, found: list[Worker]) -> tuple[list[int], str]:
    """Let every process refresh one token at once; the statuses, and the winner's access token."""
    token = house.sign_in("ada")["refresh_token"]
    for worker in found:
        worker.pipe.send(("refresh_together", token))
    answers = [worker.pipe.recv() for worker in found]
    fresh = [body["access_token"] for status, body in answers if status == 200]
    return sorted(status for status, _ in answers), fresh[0]


@pytest.mark.slow
def test_of_many_processes_that_refresh_one_token_one_succeeds(house: House):
    house.account("ada")
    other_device = house.sign_in("ada")
    with workers(house.settings, PROCESSES) as found:
        for _ in range(ROUNDS):
            statuses, winner = refresh_together(house, found)
            assert statuses == [200] + [400] * (PROCESSES - 1)
            # Seven have used it again, so the winner may not keep what it got.
            assert house.status(winner) == 401
        assert found[0].ask("status", other_device["access_token"]) == 200


def seconds_until(worker: Worker, token: str, status: int) -> float:
    """How much later a request may still begin that the process answers otherwise."""
    start = asked = time.monotonic()
    last = 0.0
    while worker.ask("status", token) != status:
        last = asked - start
        assert last < 5
        time.sleep(0.005)
        asked = time.monotonic()
    return last


def test_what_ends_a_session_here_ends_it_in_another_process_within_a_second(house: House):
    house.account("root", Role.ADMIN)
    root = house.sign_in("root")["access_token"]

    def reuse(tokens: dict[str, Any]) -> None:
        house.refresh(tokens["refresh_token"])
        house.refresh(tokens["refresh_token"])

    def sign_out(tokens: dict[str, Any]) -> None:
        house.call("POST", "/auth/revoke", data={"token": tokens["access_token"]})

    def disable(_: dict[str, Any]) -> None:
        house.call("PATCH", "/users/disable", root, json={"disabled": True})

    def change_password(_: dict[str, Any]) -> None:
        body = {"current_password": PASSWORD, "new_password": "another good one"}
        mine = house.sign_in("change_password")["access_token"]
        assert house.call("PUT", "/users/me/password", mine, json=body).status_code == 204

    with workers(house.settings, 1) as [worker]:
        for act in (reuse, sign_out, disable, change_password):
            name = act.__name__
            house.account(name)
            tokens, other = house.sign_in(name), house.sign_in(name)
            assert worker.ask("status", tokens["access_token"]) == 200
            assert worker.ask("status", other["access_token"]) == 200
            act(tokens)
            assert house.status(tokens["access_token"]) == 401, name
            took = seconds_until(worker, tokens["access_token"], 401)
            assert took < ONE_SECOND, name
            if act in (reuse, sign_out):
                assert worker.ask("status", other["access_token"]) == 200
            else:
                seconds_until(worker, other["access_token"], 401)
            assert (200 if act in (reuse, sign_out) else 400) == worker.ask(
                "refresh", other["refresh_token"]
            )[0]


def test_roles_that_change_here_count_in_another_process_within_a_second(house: House):
    house.account("root", Role.ADMIN)
    house.account("ada")
    root, ada = (house.sign_in(name)["access_token"] for name in ("root", "ada"))
    with workers(house.settings, 1) as [worker]:
        assert worker.ask("status", ada) == 200
        house.call("PUT", "/users/ada/roles", root, json={"roles": []})
        assert seconds_until(worker, ada, 403) < ONE_SECOND
