"""Sessions between processes: what one does, every other feels within a second, without Redis."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from typing import Any

import pytest
from sqlalchemy import func, select

from app.core.config import Settings
from app.core.permission import Role
from strongback.auth.session_model import AuthSession, RefreshToken
from tests.support.process import forked
from tests.support.sign_in import PASSWORD, Client, client

__all__ = ["client"]

pytestmark = [pytest.mark.speaks_sql, pytest.mark.usefixtures("starts_processes")]

PROCESSES = 8
ONE_SECOND = 1.0


def serve(settings: Settings, pipe: Connection, together: Barrier) -> None:
    """Run the application in a process, and send it what the test asks for."""
    client = Client(settings)
    pipe.send("ready")
    while (call := pipe.recv()) is not None:
        name, *arguments = call
        if name == "refresh_together":
            together.wait(30)
            answer = client.refresh(*arguments)
            pipe.send((answer.status_code, answer.get_json()))
        elif name == "refresh":
            answer = client.refresh(*arguments)
            pipe.send((answer.status_code, answer.get_json()))
        else:
            pipe.send(client.status(*arguments))
    client.close()


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
    together = forked.Barrier(count)
    with ExitStack() as stack:
        found = []
        for _ in range(count):
            mine, its = forked.Pipe()
            process = forked.Process(target=serve, args=(settings, its, together), daemon=True)
            process.start()
            stack.callback(process.join, 10)
            stack.callback(mine.send, None)
            found.append(Worker(mine))
        for worker in found:
            assert worker.pipe.poll(60)
            assert worker.pipe.recv() == "ready"
        yield found


@pytest.fixture
def rounds(is_long: bool) -> int:
    return 40 if is_long else 10


def refresh_together(found: list[Worker], *tokens: str) -> list[tuple[int, Any]]:
    """Let every process refresh at once, each its own of the tokens; what they are answered."""
    for number, worker in enumerate(found):
        worker.pipe.send(("refresh_together", tokens[number % len(tokens)]))
    return [worker.pipe.recv() for worker in found]


def test_of_many_processes_that_refresh_one_token_all_get_the_same_successor(
    client: Client, rounds: int
):
    """As the tabs of a browser do."""
    client.account("ada")
    with workers(client.settings, PROCESSES) as found:
        token = client.sign_in("ada")["refresh_token"]
        for _ in range(rounds):
            answers = refresh_together(found, token)
            assert [status for status, _ in answers] == [200] * PROCESSES
            successors = {body["refresh_token"] for _, body in answers}
            assert len(successors) == 1
            assert client.status(answers[0][1]["access_token"]) == 200
            [token] = successors


def test_without_a_grace_one_of_many_processes_succeeds_and_its_session_ends(
    client: Client, rounds: int
):
    client.account("ada")
    other_device = client.sign_in("ada")
    strict = client.settings.model_copy(update={"auth_refresh_grace": 0})
    with workers(strict, PROCESSES) as found:
        for _ in range(rounds):
            answers = refresh_together(found, client.sign_in("ada")["refresh_token"])
            statuses = sorted(status for status, _ in answers)
            assert statuses == [200] + [400] * (PROCESSES - 1)
            [winner] = [body["access_token"] for status, body in answers if status == 200]
            # Seven have used it again, so the winner may not keep what it got.
            assert client.status(winner) == 401
        assert found[0].ask("status", other_device["access_token"]) == 200


def test_a_retry_and_a_thief_at_once_never_leave_two_lines_of_tokens(client: Client, rounds: int):
    """Half of the processes use the successor, half the token before it."""
    client.account("ada")
    with workers(client.settings, PROCESSES) as found:
        for _ in range(rounds):
            first = client.sign_in("ada")["refresh_token"]
            second = client.refresh(first)
            answers = refresh_together(found, first, second.json["refresh_token"])
            of_first, of_second = answers[::2], answers[1::2]
            gained = {body["refresh_token"] for status, body in of_second if status == 200}
            again = {body["refresh_token"] for status, body in of_first if status == 200}
            assert len(gained) <= 1
            assert again <= {second.json["refresh_token"]}
            session = client.tokens().verify(second.json["access_token"]).session_id
            is_over, unused = line_of(client, session)
            assert unused <= 1
            # Whoever used the earlier token after its successor has ended the session.
            assert is_over == any(status == 400 for status, _ in of_first)


def line_of(client: Client, session_id: str) -> tuple[bool, int]:
    """Whether a session is over, and how many of its refresh tokens have not been used."""
    with client.database.scope():
        session = client.database.session
        session.rollback()
        revoked = session.scalar(select(AuthSession.revoked_at).where(AuthSession.id == session_id))
        unused = session.scalar(
            select(func.count()).where(
                RefreshToken.session_id == session_id, RefreshToken.used_at.is_(None)
            )
        )
    return revoked is not None, unused or 0


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


def test_what_ends_a_session_here_ends_it_in_another_process_within_a_second(client: Client):
    client.account("root", Role.ADMIN)
    root = client.sign_in("root")["access_token"]

    def reuse(tokens: dict[str, Any]) -> None:
        client.refresh(client.refresh(tokens["refresh_token"]).json["refresh_token"])
        client.refresh(tokens["refresh_token"])

    def sign_out(tokens: dict[str, Any]) -> None:
        client.call("POST", "/auth/revoke", data={"token": tokens["access_token"]})

    def disable(_: dict[str, Any]) -> None:
        client.call("PATCH", "/users/disable", root, json={"disabled": True})

    def change_password(_: dict[str, Any]) -> None:
        body = {"current_password": PASSWORD, "new_password": "another good one"}
        mine = client.sign_in("change_password")["access_token"]
        assert client.call("PUT", "/users/me/password", mine, json=body).status_code == 204

    with workers(client.settings, 1) as [worker]:
        for act in (reuse, sign_out, disable, change_password):
            name = act.__name__
            client.account(name)
            tokens, other = client.sign_in(name), client.sign_in(name)
            assert worker.ask("status", tokens["access_token"]) == 200
            assert worker.ask("status", other["access_token"]) == 200
            act(tokens)
            assert client.status(tokens["access_token"]) == 401, name
            took = seconds_until(worker, tokens["access_token"], 401)
            assert took < ONE_SECOND, name
            if act in (reuse, sign_out):
                assert worker.ask("status", other["access_token"]) == 200
            else:
                seconds_until(worker, other["access_token"], 401)
            assert (200 if act in (reuse, sign_out) else 400) == worker.ask(
                "refresh", other["refresh_token"]
            )[0]


def test_roles_that_change_here_count_in_another_process_within_a_second(client: Client):
    client.account("root", Role.ADMIN)
    client.account("ada")
    root, ada = (client.sign_in(name)["access_token"] for name in ("root", "ada"))
    with workers(client.settings, 1) as [worker]:
        assert worker.ask("status", ada) == 200
        client.call("PUT", "/users/ada/roles", root, json={"roles": []})
        assert seconds_until(worker, ada, 403) < ONE_SECOND
