from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from app.core.config import ROOT, Settings
from strongback.config import Environment
from strongback.exceptions import ConfigurationError
from strongback.server.serve import (
    METRICS_VARIABLE,
    check_start,
    metrics_environment,
    warn_without_proxy,
)
from strongback.testing.port import free_port
from tests.support.process import long_only
from tests.web_fixture import Logs, logs

__all__ = ["logs"]

SERVERS = ["gunicorn", "granian"]
DEADLINE = 60
APPLICATION = """
import json, os, time

LOADED_BY = os.getpid()
if "HALF" in os.environ:
    assert not hasattr(os, "was_here"), "imported again"
    os.was_here = True
    os.environ["MISSING"]

def create():
    if "BROKEN" in os.environ:
        os.environ["MISSING"]
    if "REFUSED" in os.environ:
        from strongback.exceptions import ConfigurationError
        raise ConfigurationError("Tea is not provided: register the kitchen")

    def application(environ, start_response):
        if environ["PATH_INFO"] == "/slow":
            open(os.environ["SLOW_STARTED"], "w").close()
            time.sleep(float(os.environ.get("SLOW_SECONDS", "1")))
        names = ("REMOTE_ADDR", "wsgi.url_scheme", "SCRIPT_NAME", "REQUEST_METHOD")
        seen = {name: environ.get(name) for name in names}
        seen["metrics"] = os.environ["WEB_METRICS_DIR"]
        seen["pid"] = os.getpid()
        seen["loaded_by"] = LOADED_BY
        unread = environ["PATH_INFO"] == "/refused"
        seen["received"] = 0 if unread else len(environ["wsgi.input"].read())
        body = json.dumps(seen).encode()
        start_response("200 OK", [("Content-Type", "application/json")])
        return [body]
    return application
"""
START = ["-m", "strongback.server.serve", "served:create"]
SERVE = """
import sys
from app.core.config import load_settings
from strongback.exceptions import ConfigurationError
from strongback.server.serve import serve
try:
    serve(load_settings(web_threads=4), "served:create")
except ConfigurationError as error:
    sys.exit(str(error))
"""


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {DEADLINE} s"
        time.sleep(0.02)


@dataclass
class Server:
    """A server in a process of its own, and its logs."""

    name: str
    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def slow_started(self) -> Path:
        return self.folder / "slow"

    def start(self, *command: str, **variables: str) -> subprocess.Popen[bytes]:
        (self.folder / "served.py").write_text(APPLICATION)
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(self.folder)]),
            "APP_VAR_DIR": str(self.folder / "var"),
            "LOG_FORMAT": "json",
            "SLOW_STARTED": str(self.slow_started),
            "WEB_PORT": str(self.port),
            "WEB_SERVER": self.name,
            "WEB_THREADS": "4",
        }
        with (self.folder / "log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, *(command or START)],
                env=environment | variables,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
            )

    def answers(self) -> bool:
        assert self.process is None or self.process.poll() is None, self.log
        with contextlib.suppress(OSError):
            return self.get("/")[0] == 200
        return False

    def get(
        self, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        with contextlib.closing(connection):
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request("GET" if body is None else "POST", path, body, names)
            response = connection.getresponse()
            return response.status, json.loads(response.read())

    def count_workers(self) -> int:
        return self.log.count("Booting worker" if self.name == "gunicorn" else "Started worker")

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()


@contextlib.contextmanager
def running(server: Server, *command: str, **variables: str) -> Iterator[Server]:
    server.process = server.start(*command, **variables)
    try:
        wait_until(server.answers, "the first answer")
        yield server
    finally:
        if server.process.poll() is None:
            server.process.terminate()
        server.process.wait(DEADLINE)


@contextlib.contextmanager
def two_workers(name: str, folder: Path, *command: str) -> Iterator[Server]:
    with running(Server(name, folder), *command, WEB_WORKERS="2") as server:
        wait_until(lambda: server.count_workers() == 2, "the start of both workers")
        yield server


@pytest.fixture(scope="module")
def shared(
    starts_processes: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Server]]:
    """One server of each name, started by `serve`, for all tests that leave it running."""
    with contextlib.ExitStack() as stack:

        def start(name: str) -> Server:
            folder = tmp_path_factory.mktemp(name)
            return stack.enter_context(two_workers(name, folder, "-c", SERVE))

        yield cache(start)


@pytest.fixture(params=SERVERS)
def server(shared: Callable[[str], Server], request: pytest.FixtureRequest) -> Server:
    """Each server in turn."""
    return shared(request.param)


@pytest.fixture
def gunicorn(shared: Callable[[str], Server]) -> Server:
    return shared("gunicorn")


@pytest.fixture
def own_gunicorn(starts_processes: None, tmp_path: Path) -> Iterator[Server]:
    """For a test that ends it."""
    with two_workers("gunicorn", tmp_path) as started:
        yield started


# Both servers


def test_the_application_sees_the_same_on_both_servers(server: Server) -> None:
    """No server believes a header that only a trusted proxy may send: the application decides."""
    _, seen = server.get(
        "/x", X_Forwarded_For="1.2.3.4", X_Forwarded_Proto="https", Script_Name="/y"
    )
    assert (
        seen["REMOTE_ADDR"],
        seen["wsgi.url_scheme"],
        seen["SCRIPT_NAME"],
        seen["REQUEST_METHOD"],
    ) == ("127.0.0.1", "http", "", "GET")


def test_a_body_reaches_the_application_whole(server: Server) -> None:
    assert server.get("/", b"x" * 3_000_000)[1]["received"] == 3_000_000


def test_workers_share_a_metrics_folder_below_the_var_folder(server: Server) -> None:
    folder = server.folder / "var" / "metrics" / str(server.port)
    assert str(folder) == server.get("/")[1]["metrics"]
    assert folder.is_dir()


def test_each_line_of_a_server_is_one_event_of_ours(server: Server) -> None:
    events = [json.loads(line) for line in server.log.splitlines()]
    assert {"error"} == {event["stream"] for event in events}
    assert len(events) == len({(event["event"], event["timestamp"]) for event in events})
    assert any("listening at: http://127.0.0.1" in event["event"].lower() for event in events)


def test_a_second_server_says_that_the_port_is_taken(server: Server, tmp_path: Path) -> None:
    other_folder = tmp_path / "other"
    other_folder.mkdir()
    second = Server(server.name, other_folder, server.port)
    assert second.start("-c", SERVE).wait(DEADLINE) == 1
    assert f"WEB_PORT={server.port + 10}" in second.log
    assert len(second.log.splitlines()) == 1
    assert server.get("/")[0] == 200


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.usefixtures("starts_processes")
def test_an_application_that_cannot_be_loaded_ends_the_server_with_an_event(
    name: str, tmp_path: Path
) -> None:
    server = Server(name, tmp_path)
    process = server.start(WEB_PORT=str(server.port), BROKEN="1")
    assert process.wait(DEADLINE) != 0
    events = [json.loads(line) for line in server.log.splitlines() if line.startswith("{")]
    assert any("KeyError: 'MISSING'" in event.get("exception", "") for event in events)


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.parametrize(
    "number, kill",
    [
        (signal.SIGTERM, os.kill),
        (signal.SIGINT, os.killpg),
        *long_only((signal.SIGINT, os.kill)),  # less than the one before
    ],
)
@pytest.mark.usefixtures("starts_processes")
def test_a_stop_lets_the_request_in_flight_finish(
    name: str, number: signal.Signals, kill: Callable[[int, int], None], tmp_path: Path
) -> None:
    """A supervisor signals the server, a terminal's Ctrl-C every process of it."""
    answers: list[int] = []
    with two_workers(name, tmp_path) as server:
        thread = threading.Thread(target=lambda: answers.append(server.get("/slow")[0]))
        thread.start()
        wait_until(server.slow_started.exists, "the slow request")
        assert server.process is not None
        kill(server.process.pid, number)
        thread.join()
        assert answers == [200]
        assert server.process.wait(DEADLINE) == 0
    assert "Traceback" not in server.log


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.parametrize("attempt", [0, *long_only(1, 2)])
@pytest.mark.usefixtures("starts_processes")
def test_a_stop_while_workers_start_ends_the_server(
    name: str, attempt: int, tmp_path: Path
) -> None:
    """The first worker answers while others are being made: the stop reaches those too."""
    with running(Server(name, tmp_path), WEB_WORKERS="4", WEB_TIMEOUT="5") as server:
        assert server.process is not None
        server.process.terminate()
        server.process.wait(DEADLINE)


# Gunicorn


@pytest.mark.usefixtures("starts_processes")
def test_a_module_that_fails_is_imported_once_so_that_its_own_error_shows(tmp_path: Path) -> None:
    server = Server("gunicorn", tmp_path)
    assert server.start(WEB_PORT=str(server.port), HALF="1").wait(DEADLINE) != 0
    assert "KeyError: 'MISSING'" in server.log
    assert "imported again" not in server.log


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.usefixtures("starts_processes")
def test_an_application_that_is_refused_ends_the_server_with_one_line(
    name: str, tmp_path: Path
) -> None:
    server = Server(name, tmp_path)
    assert server.start(WEB_PORT=str(server.port), REFUSED="1").wait(DEADLINE) != 0
    assert "Error: Tea is not provided: register the kitchen" in server.log.splitlines()
    assert "Traceback" not in server.log


def test_the_master_loads_the_application_for_all_workers(gunicorn: Server) -> None:
    assert gunicorn.process is not None
    assert gunicorn.get("/")[1]["loaded_by"] == gunicorn.process.pid


@pytest.mark.usefixtures("starts_processes")
def test_a_worker_that_follows_changes_loads_the_application_itself(tmp_path: Path) -> None:
    with running(Server("gunicorn", tmp_path), GUNICORN_CMD_ARGS="--reload") as server:
        seen = server.get("/")[1]
        assert seen["loaded_by"] == seen["pid"]


def test_a_reload_drops_no_request(gunicorn: Server) -> None:
    """Workers are replaced while connections arrive; each is new, as behind a plain balancer."""
    assert gunicorn.process is not None
    before = {gunicorn.get("/")[1]["pid"] for _ in range(50)}
    os.kill(gunicorn.process.pid, signal.SIGHUP)
    seen: list[int] = []

    def is_replaced() -> bool:
        seen.append(gunicorn.get("/")[1]["pid"])
        return len(seen) > 50 and not before & set(seen[-50:])

    wait_until(is_replaced, "new workers alone")


def test_a_new_master_takes_the_place_of_the_old_one(own_gunicorn: Server) -> None:
    """SIGUSR2, then SIGTERM to the old one: how Gunicorn itself is brought up to date."""
    assert own_gunicorn.process is not None
    os.kill(own_gunicorn.process.pid, signal.SIGUSR2)
    wait_until(lambda: own_gunicorn.count_workers() == 4, "the start of the new workers")
    own_gunicorn.process.terminate()
    own_gunicorn.process.wait(DEADLINE)
    parents = {parent_of(own_gunicorn.get("/")[1]["pid"]) for _ in range(50)}
    try:
        assert len(parents) == 1
        assert own_gunicorn.process.pid not in parents
    finally:
        for parent in parents:
            os.kill(parent, signal.SIGTERM)


def parent_of(process: int) -> int:
    """The id of a process's parent."""
    state = Path(f"/proc/{process}/stat").read_text()
    return int(state.rpartition(")")[2].split()[1])


def test_an_answer_that_needed_no_body_reaches_a_client_that_is_still_sending_it(
    gunicorn: Server,
) -> None:
    """Read late, it is still there, and the connection takes the next request."""
    connection = http.client.HTTPConnection("127.0.0.1", gunicorn.port, timeout=DEADLINE)
    part, parts = b"x" * 2**20, 16
    with contextlib.closing(connection):
        connection.putrequest("POST", "/refused")
        connection.putheader("Content-Length", str(len(part) * parts))
        connection.endheaders()
        for _ in range(parts):
            time.sleep(0.01)
            connection.send(part)
        assert json.loads(connection.getresponse().read())["received"] == 0
        connection.request("POST", "/", b"next")
        assert json.loads(connection.getresponse().read())["received"] == len(b"next")


@pytest.mark.parametrize(
    "request_bytes, status",
    [
        (b"GARBAGE\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nBad Header\r\n\r\n", 400),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 20_000 + b"\r\n\r\n", 431),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: odd\r\n\r\n", 501),
    ],
)
def test_what_is_not_http_is_answered_in_the_one_shape_of_errors(
    gunicorn: Server, request_bytes: bytes, status: int
) -> None:
    with socket.create_connection(("127.0.0.1", gunicorn.port), timeout=DEADLINE) as client:
        client.sendall(request_bytes)
        response = http.client.HTTPResponse(client)
        response.begin()
        error = json.loads(response.read())
    assert (response.status, error["code"]) == (status, status)
    assert response.getheader("X-Request-ID") == error["request_id"]
    assert set(error) == {"code", "error_code", "message", "request_id"}


def test_an_address_that_is_not_encoded_is_refused_with_the_cause(gunicorn: Server) -> None:
    answer = talk(gunicorn, "GET /search?q=绿茶 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert b" 400 " in answer
    assert "percent signs" in json.loads(answer.partition(b"\r\n\r\n")[2])["message"]


@pytest.mark.parametrize("body", [b"zz\r\n", b"-1\r\n", b"0x29\r\n", b"2\r\nab0\r\n\r\n"])
def test_a_body_that_nobody_read_and_nobody_could_is_not_answered_twice(
    gunicorn: Server, body: bytes
) -> None:
    head = b"POST /refused HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = talk(gunicorn, head + body)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert "Traceback" not in gunicorn.log


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        b"Host: y\r\n",
        b"X-Folded: a\r\n b\r\n",
        b"Content-Length: 3\r\nContent-Length: 4\r\n",
    ],
)
def test_a_head_that_could_be_read_in_two_ways_is_refused(gunicorn: Server, head: bytes) -> None:
    answer = talk(gunicorn, b"POST / HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1


def talk(server: Server, data: bytes) -> bytes:
    """Send bytes and read until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE) as client:
        client.sendall(data)
        return b"".join(iter(lambda: client.recv(65536), b""))


# Slow clients

START_OF_HEAD = b"GET / HTTP/1.1\r\nHost: x\r\nX-Never-Ending: "


@contextlib.contextmanager
def stalled(server: Server, data: bytes, count: int) -> Iterator[list[socket.socket]]:
    """So many connections on each of which only this was sent."""
    with contextlib.ExitStack() as stack:
        clients = [
            stack.enter_context(
                socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE)
            )
            for _ in range(count)
        ]
        for client in clients:
            client.sendall(data)
        yield clients


@pytest.mark.parametrize("data", [b"", b"G", START_OF_HEAD, START_OF_HEAD + b"x" * 8000])
def test_heads_that_never_end_keep_nobody_waiting_on_granian(
    shared: Callable[[str], Server], data: bytes
) -> None:
    """More of them than there are threads, and a few bytes more now and then."""
    server = shared("granian")
    with stalled(server, data, 40) as clients:
        for _ in range(5):
            assert server.get("/")[0] == 200
            for client in clients:
                client.sendall(data[-1:])
        assert server.get("/")[0] == 200


def test_a_client_that_stalls_is_let_go(gunicorn: Server) -> None:
    """Whether it is in the head or in the body that it says nothing more.

    As many as there are threads: each holds one for as long as it may be silent.
    """
    body = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc"
    with stalled(gunicorn, START_OF_HEAD, 4) as heads, stalled(gunicorn, body, 4) as bodies:
        started = time.monotonic()
        assert gunicorn.get("/")[0] == 200
        assert time.monotonic() - started < DEADLINE / 2
        for client in [*heads, *bodies]:
            with contextlib.suppress(ConnectionResetError):  # what it has sent was not all read
                while client.recv(65536):
                    pass
    assert gunicorn.get("/")[0] == 200
    assert "Socket error" not in gunicorn.log
    assert "Traceback" not in gunicorn.log


def test_a_head_that_comes_in_pieces_is_answered(gunicorn: Server) -> None:
    head = b"GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", gunicorn.port), timeout=DEADLINE) as client:
        for number in range(len(head)):
            client.sendall(head[number : number + 1])
            time.sleep(0.002)
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200 ")


def test_requests_in_one_piece_are_all_answered(gunicorn: Server) -> None:
    """The last of them half in this piece and half in another."""
    one = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", gunicorn.port), timeout=DEADLINE) as client:
        client.sendall(one + one + last[:20])
        time.sleep(0.1)
        client.sendall(last[20:])
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.count(b"HTTP/1.1 200 ") == 3


def test_a_head_of_too_many_lines_is_431(server: Server) -> None:
    answer = talk(server, START_OF_HEAD + b"\r\nX-More: 1" * 4000 + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 431 ")


def test_gunicorn_opens_no_control_socket_and_writes_no_access_log(gunicorn: Server) -> None:
    gunicorn.get("/marker")
    assert "/marker" not in gunicorn.log
    assert not list(gunicorn.folder.rglob("*.ctl"))
    assert gunicorn.process is not None
    listening = Path(f"/proc/{gunicorn.process.pid}/fd")
    inodes = {str(item.readlink())[8:-1] for item in listening.iterdir() if item.is_symlink()}
    unix = [line.split()[6:8] for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    assert not [path for inode, *path in unix if inode in inodes and path]


# Before the start


@pytest.mark.parametrize(
    "environment, proxies, warns",
    [
        (Environment.PRODUCTION, 0, True),
        (Environment.PRODUCTION, 1, False),
        (Environment.DEVELOPMENT, 0, False),
    ],
)
def test_production_without_a_proxy_is_warned_of(
    settings: Settings, logs: Logs, environment: Environment, proxies: int, warns: bool
) -> None:
    warn_without_proxy(settings.model_copy(update={"app_env": environment, "web_proxies": proxies}))
    remedies = [entry["remedy"] for entry in logs.named("no_proxy_in_front")]
    assert ["WEB_PROXIES=1" in remedy for remedy in remedies] == [True] * warns


@pytest.fixture
def startable(settings: Settings) -> Settings:
    return settings.model_copy(update={"web_port": free_port()})


def test_a_start_that_can_succeed_passes_twice(startable: Settings) -> None:
    check_start(startable)
    check_start(startable)
    assert startable.app_var_dir.is_dir()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_listener_with_so_reuseport_is_noticed(host: str, startable: Settings) -> None:
    """Also where it listens on all addresses and we would on one."""
    with socket.socket() as other:
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):  # as every server sets the first
            other.setsockopt(socket.SOL_SOCKET, option, 1)
        other.bind((host, startable.web_port))
        other.listen()
        with pytest.raises(ConfigurationError, match=r"is taken.*WEB_PORT=\d+$"):
            check_start(startable)


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid", "a" * 64, "256.1.1.1"])
def test_a_host_of_another_machine_is_refused(host: str, startable: Settings) -> None:
    with pytest.raises(ConfigurationError, match=r"is no address of this machine.*WEB_HOST="):
        check_start(startable.model_copy(update={"web_host": host}))


@pytest.mark.usefixtures("starts_processes")
def test_a_privileged_port_is_refused_with_the_remedy() -> None:
    """Run without the right to bind low ports; where the system gives it to all, they are free."""
    first = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    if first < 2:
        pytest.skip("this system lets every user bind every port")
    program = (
        "import os\n"
        "from strongback import Settings, load_settings\n"
        "from strongback.exceptions import ConfigurationError\n"
        "from strongback.server.serve import check_address\n"
        "settings = load_settings(Settings, web_port=1)\n"
        "'x'.encode('idna')  # loaded while this user may still read it\n"
        "if os.getuid() == 0: os.setgid(65534); os.setuid(65534)\n"
        "try: check_address(settings)\n"
        "except ConfigurationError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("Port 1 on 127.0.0.1 needs more rights")


@pytest.mark.parametrize("variable", ["APP_VAR_DIR", "LOG_DIR"])
def test_a_folder_that_cannot_be_made_is_named_with_its_variable(
    variable: str, startable: Settings, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    changed = startable.model_copy(update={variable.lower(): tmp_path / "file" / "folder"})
    with pytest.raises(ConfigurationError, match=rf"cannot be written.*{variable}="):
        check_start(changed)


@pytest.mark.parametrize(
    "manifest", [None, "", "[]", '{"paths": {}}', '{"paths": 1, "integrity": {}}']
)
def test_static_files_that_were_not_built_are_refused(
    manifest: str | None, startable: Settings, tmp_path: Path
) -> None:
    if manifest is not None:
        (tmp_path / "staticfiles.json").write_text(manifest)
    with pytest.raises(ConfigurationError, match=r"WEB_STATIC_DIR: .* flask static build"):
        check_start(startable.model_copy(update={"web_static_dir": tmp_path}))


def test_the_metrics_folder_is_emptied_for_its_port_alone(startable: Settings) -> None:
    folder = Path(metrics_environment(startable)[METRICS_VARIABLE])
    neighbour = folder.parent / "1" / "counter_1.db"
    neighbour.parent.mkdir()
    for file in (folder / "counter_2.db", neighbour):
        file.touch()
    metrics_environment(startable)
    assert list(folder.iterdir()) == []
    assert neighbour.exists()
