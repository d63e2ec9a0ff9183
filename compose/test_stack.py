"""The whole stack, as a person starts it from a fresh clone: `make compose-test`.

The tests run one after the other on one stack, in a copy of the committed and changed files; what
they make (containers, volumes, networks, image) is gone afterwards, which the last one checks.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import httpx
import pytest

from app.core.config import ROOT
from tests.support.example import Checkout, Command, commands
from tests.support.load import Ask, Load, under_load
from tests.support.sdk import Person, connected

MEGABYTE = 10**6
BODY_LENGTH = 100_000
"""Characters that an article may have."""
ARTICLES = Ask("/api/v1/articles")
USERS = Ask("/api/v1/users")
"""Not cached: each of these asks the database."""
RECOVERY = 5
SECRETS = {
    "migrate": {"mysql_password"},
    "web": {"app_secret_key", "mysql_password", "redis_password"},
    "realtime": {"app_secret_key", "mysql_password", "redis_password"},
    "worker": {"app_secret_key", "mysql_password", "redis_password"},
    "beat": {"mysql_password", "redis_password"},
    "flower": {"redis_password"},
    "mysql": {"mysql_password"},
    "redis": {"redis_password"},
}
ODD = 'p%40@:/#?& "[汉'
"""A password that would mean something else in an address or a file of settings."""
RUN = ("run", "--rm", "-T", "--no-deps")
WRAPPER = """#!/bin/sh
# `flask` of the tour, in a container that sees the folder which the tour has made.
notes=$PWD/var/notes
cd {clone}
exec docker compose --progress quiet run --rm -T --no-deps \\
    -e LOG_LEVEL=WARNING -v "$notes:/app/var/notes:ro" web flask "$@"
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@dataclass
class Stack:
    """A clone, and the project that runs from it."""

    clone: Path
    name: str
    port: int
    image: str
    first_answer: float = 0.0

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {
            "COMPOSE_PROJECT_NAME": self.name,
            "APP_IMAGE": self.image,
            "NGINX_PORT": str(self.port),
            "MYSQL_PASSWORD": f"mysql {ODD}",
            "REDIS_PASSWORD": f"redis {ODD}\\'",
            "NGINX_RATE": "100000r/s",
            # Whatever address a request from this machine has in there.
            "NGINX_OPERATORS": "0.0.0.0/0 ::/0",
        }

    def compose(self, *arguments: str, **variables: str) -> str:
        """Run `docker compose`, and give what it printed; says why where it fails."""
        done = self.attempt(*arguments, **variables)
        assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}\n{self.states()}"
        return done.stdout

    def attempt(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["docker", "compose", "--progress", "quiet", *arguments],
            cwd=self.clone,
            env=self.environment | variables,
            capture_output=True,
            text=True,
            check=False,
        )

    def states(self) -> str:
        return self.attempt("ps", "--all").stdout + self.attempt("logs", "--tail", "20").stdout

    def containers(self, service: str) -> list[str]:
        return self.compose("ps", "--quiet", service).split()

    def read(self, path: str) -> bytes:
        """The body of whatever is answered; empty where nothing is."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=2) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            return error.read()
        except OSError:
            return b""

    def status(self, path: str = "/readyz") -> int:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=2) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0


def docker(*arguments: str) -> str:
    return subprocess.run(
        ["docker", *arguments], capture_output=True, text=True, check=True
    ).stdout.strip()


def inspect(container: str) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(docker("inspect", container))[0]
    return facts


def remains(name: str) -> list[str]:
    """Everything in Docker that belongs to a project."""
    label = f"label=com.docker.compose.project={name}"
    return [
        *docker("ps", "--all", "--quiet", "--filter", label).split(),
        *docker("volume", "ls", "--quiet", "--filter", label).split(),
        *docker("network", "ls", "--quiet", "--filter", label).split(),
        *docker("image", "ls", "--quiet", "--filter", label).split(),
    ]


def remove_images(name: str) -> None:
    """Also those that lost their tag to a newer build."""
    label = f"label=com.docker.compose.project={name}"
    if images := docker("image", "ls", "--quiet", "--filter", label).split():
        docker("rmi", "--force", *set(images))


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        time.sleep(0.1)


def copy_files(folder: Path) -> None:
    """What a clone has, with what is changed and not committed yet."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    shutil.copy(folder / ".env.example", folder / ".env")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A clone, started by the two commands of the README."""
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode
    ):
        pytest.exit("Docker does not run: start it, then run make compose-test again", 1)
    clone = tmp_path_factory.mktemp("clone")
    copy_files(clone)
    name = f"strongback-test-{os.getpid()}"
    stack = Stack(clone, name, free_port(), f"{name}:latest")
    try:
        stack.compose("build", "--quiet")
        watcher = threading.Thread(target=note_first_answer, args=(stack,), daemon=True)
        watcher.start()
        stack.compose("up", "--detach", "--wait")
        yield stack
    finally:
        stack.attempt("--profile", "*", "down", "--volumes", "--remove-orphans", "--rmi", "local")
        remove_images(name)
    assert remains(name) == []


def note_first_answer(stack: Stack) -> None:
    while stack.status() != 200:
        time.sleep(0.05)
    stack.first_answer = time.time()


class TestStart:
    def test_everything_is_healthy(self, stack):
        states = json.loads(
            "[" + ",".join(stack.compose("ps", "--format", "json").split("\n")[:-1]) + "]"
        )
        assert {state["Health"] for state in states} <= {"healthy", ""}
        assert {state["State"] for state in states} == {"running"}
        assert stack.status() == 200

    def test_it_serves_soon_after_the_database_is_healthy(self, stack):
        (mysql,) = stack.containers("mysql")
        checks = inspect(mysql)["State"]["Health"]["Log"]
        healthy = min(at(check["End"]) for check in checks if check["ExitCode"] == 0)
        seconds = stack.first_answer - healthy
        print(f"\nserves {seconds:.1f} s after the database is healthy")
        # 5 s on a machine that has nothing else to do, with as much again to spare.
        share = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
        assert seconds < 10 * share

    def test_nginx_serves_the_static_files_of_the_image(self, stack):
        page = httpx.get(f"http://127.0.0.1:{stack.port}/docs").text
        addresses = re.findall(r'(?:href|src)="(/static/[^"#]+)', page)
        assert len(addresses) > 3
        for address in addresses:
            response = httpx.get(
                f"http://127.0.0.1:{stack.port}{address}", headers={"Accept-Encoding": "br"}
            )
            assert response.headers["Content-Encoding"] == "br"
            assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"

    def test_nginx_is_the_only_way_in(self, stack):
        published = {
            service: inspect(container)["HostConfig"]["PortBindings"]
            for service in stack.compose("config", "--services").split()
            for container in stack.containers(service)
        }
        assert published.pop("nginx") == {
            "8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(stack.port)}]
        }
        assert not any(published.values())

    def test_containers_may_do_little(self, stack):
        for service in ("web", "nginx", "redis", "mysql"):
            (container,) = stack.containers(service)
            facts = inspect(container)["HostConfig"]
            assert facts["ReadonlyRootfs"], service
            assert facts["Memory"], service
            assert facts["PidsLimit"], service
            assert "no-new-privileges:true" in facts["SecurityOpt"]
            users = docker("top", container, "-eo", "user,pid").splitlines()[1:]
            assert not [line for line in users if line.startswith("root ")], service

    def test_the_image_is_small_and_has_no_compiler_and_no_secret(self, stack):
        base = int(docker("image", "inspect", "--format", "{{.Size}}", "python:3.13-slim"))
        size = int(docker("image", "inspect", "--format", "{{.Size}}", stack.image))
        print(f"\nthe image has {(size - base) / MEGABYTE:.0f} MB beyond its base")
        assert size - base < 250 * MEGABYTE
        tools = stack.compose("exec", "-T", "web", "sh", "-c", "command -v gcc cc g++ make; true")
        assert tools.strip() == ""
        files = stack.compose("exec", "-T", "web", "ls", "-A", "/app").split()
        assert ".env" not in files
        assert ".git" not in files


def at(timestamp: str) -> float:
    """Seconds since the epoch of Docker's timestamp, which has more digits than Python reads."""
    head, _, rest = timestamp.partition(".")
    return datetime.fromisoformat(f"{head}.{rest[:6].rstrip('Z')}+00:00").timestamp()


class TestTour:
    def test_the_readme_prints_what_it_shows_through_nginx(self, stack, tmp_path):
        stack.compose("exec", "-T", "-e", "LOG_LEVEL=ERROR", "web", "flask", "demo")
        checkout = Checkout(tmp_path / "checkout", port=stack.port)
        accounts = stack.compose("exec", "-T", "web", "cat", "var/demo.json")
        (checkout.folder / "var" / "demo.json").write_text(accounts)
        bin_folder = checkout.folder / ".venv"
        bin_folder.unlink()
        (bin_folder / "bin").mkdir(parents=True)
        (bin_folder / "bin" / "python").symlink_to(sys.executable)
        (bin_folder / "bin" / "flask").write_text(WRAPPER.format(clone=stack.clone))
        (bin_folder / "bin" / "flask").chmod(0o755)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Checkout, "environment", checkout.environment | stack.environment)
            patch.setattr(Checkout, "python", ["bash"])  # flask is the script above
            checkout.run(list(as_seen_from_outside(commands(ROOT / "README.md"))))

    def test_an_archive_of_ten_megabytes_is_imported(self, stack):
        """Nginx, web and database have room for it, though their file systems are read-only."""
        account = json.loads(stack.compose("exec", "-T", "web", "cat", "var/demo.json"))["author"]
        login = {"grant_type": "password", "username": "author", "password": account["password"]}
        packed, count = BytesIO(), 10 * MEGABYTE // BODY_LENGTH
        with ZipFile(packed, "w") as archive:
            for number in range(count):
                text = f"# Large {number}\n\n{secrets.token_hex(BODY_LENGTH // 2 - 20)}"
                archive.writestr(f"large-{number}.md", text)
        with httpx.Client(base_url=f"http://127.0.0.1:{stack.port}", timeout=60) as client:
            token = client.post("/api/v1/auth/token", data=login).json()["access_token"]
            client.headers["Authorization"] = f"Bearer {token}"
            files = {"file": ("large.zip", packed.getvalue())}
            answer = client.post("/api/v1/articles/import", files=files)
            assert answer.status_code == 202, answer.text
            task = answer.headers["Location"]
            wait_until(lambda: client.get(task).json()["state"] == "succeeded", "the import", 120)
            assert client.get(task).json()["result"]["created"] == count

    def test_a_large_file_is_taken_by_its_process_and_sent_by_nginx(self, stack):
        """The spool and the volume of the files belong to those who have to use them."""
        account = json.loads(stack.compose("exec", "-T", "web", "cat", "var/demo.json"))["author"]
        login = {"grant_type": "password", "username": "author", "password": account["password"]}
        content = b"tea\n" * (20 * MEGABYTE // 4)
        with httpx.Client(base_url=f"http://127.0.0.1:{stack.port}", timeout=60) as client:
            token = client.post("/api/v1/auth/token", data=login).json()["access_token"]
            client.headers["Authorization"] = f"Bearer {token}"
            files = {"file": ("tea.txt", content)}
            made = client.post("/api/v1/files", data={"kind": "attachment"}, files=files)
            assert made.status_code == 201, made.text
            assert '"route":"/api/v1/files"' in stack.compose("logs", "upload")
            sent = client.get(made.json()["url"])
        assert sent.content == content
        assert sent.headers["ETag"] == f'"{made.json()["id"]}"'


def as_seen_from_outside(todo: list[Command]) -> Iterator[Command]:
    """The client's address is that of Docker's network, and there are several processes.

    Each of them believes a token for up to a second after its end.
    """
    has_ended = False
    for command in todo:
        shown = [
            line.replace('"address":"127.0.0.1"', '"address":"…"') for line in command.expected
        ]
        yield Command(f"sleep 1; {command.text}" if has_ended else command.text, shown)
        has_ended = "/auth/revoke" in command.text


class TestBackup:
    def test_brings_back_what_was_lost(self, stack):
        stack.compose("exec", "-T", "-e", "LOG_LEVEL=ERROR", "web", "flask", "demo")
        before = total(stack)
        stack.compose("exec", "-T", "web", "flask", "backup", "var/backup/it.tar")
        loss = (
            'mysql -u"$MYSQL_USER" -p"$MYSQL_PASSWORD" "$MYSQL_DATABASE" -e "DELETE FROM article"'
        )
        stack.compose("exec", "-T", "mysql", "sh", "-c", loss)
        restore = ("flask", "restore", "var/backup/it.tar")
        assert stack.attempt("exec", "-T", "web", *restore).returncode == 1
        stack.compose("exec", "-T", "web", *restore, "--force")
        assert before > 10
        wait_until(lambda: total(stack) == before, "the articles' return")

    def test_the_doctor_finds_nothing(self, stack):
        found = stack.compose("exec", "-T", "web", "flask", "doctor")
        assert "PROBLEM" not in found
        assert "MySQL" in found

    def test_the_c_driver_of_the_image_connects(self, stack):
        """Nothing needs it by default; DATABASE_URL=mysql+mysqldb://… chooses it."""
        ask = (
            "import os; from sqlalchemy import URL, create_engine, text;"
            "url = URL.create('mysql+mysqldb', 'strongback', os.environ['MYSQL_PASSWORD'],"
            " 'mysql', database='strongback');"
            "print(create_engine(url, connect_args={'ssl_mode': 'PREFERRED'})"
            ".connect().scalar(text('SELECT 41 + 1')))"
        )
        assert stack.compose("exec", "-T", "web", "python", "-c", ask).strip() == "42"


def total(stack: Stack) -> int:
    """How many articles there are."""
    address = f"http://127.0.0.1:{stack.port}/api/v1/articles"
    with urllib.request.urlopen(address, timeout=5) as answer:
        return int(json.load(answer)["total"])


def check(load: Load, *statuses: int) -> None:
    """See that nothing but 200 and these came, the errors in the one shape."""
    print(f"\n{dict(load.statuses)}, p99 {load.percentile(0.99) * 1000:.0f} ms")
    assert set(load.statuses) <= {200, *statuses}, load.statuses
    for answer in load.answers:
        if answer.status != 200:
            assert json.loads(answer.body)["code"] == answer.status


class TestRealtime:
    def test_what_is_emitted_arrives_through_nginx_and_a_stop_is_told(self, stack):
        """A client whose container stops comes back, and misses nothing."""
        address = f"http://127.0.0.1:{stack.port}"
        person = Person(address, "carol")
        emit = (
            "from app.main import create_app; from strongback.realtime import Realtime;"
            " app = create_app(); live = app.services[Realtime];"
            f" live.publish(live.personal({person.id}), 'hello')"
        )

        async def scenario() -> None:
            connection = person.connection()
            assert connection["url"] == f"ws://127.0.0.1:{stack.port}/connection/websocket"
            async with connected(connection) as (_, watcher):
                await asyncio.to_thread(stack.compose, "exec", "-T", "worker", "python", "-c", emit)
                await watcher.published("hello")
                await asyncio.to_thread(stack.compose, "restart", "realtime")
                assert (await watcher.next("connecting")).code == 3001
                assert (await watcher.next("subscribed")).recovered

        asyncio.run(scenario())

    def test_it_shows_its_processes(self, stack):
        shown = stack.compose("exec", "-T", "web", "flask", "realtime", "info")
        assert "connections" in shown


class TestChange:
    def test_scaled_to_three_all_three_serve(self, stack):
        stack.compose("up", "--detach", "--no-recreate", "--wait", "--scale", "web=3")

        def upstreams() -> set[str]:
            stack.status("/api/v1/articles")
            lines = stack.compose("logs", "--no-log-prefix", "--tail", "60", "nginx").splitlines()
            events = [json.loads(line) for line in lines if line.startswith('{"timestamp"')]
            return {event["upstream"] for event in events} - {"", "-"}

        wait_until(lambda: len(upstreams()) >= 3, "an answer of each web container")

    def test_a_rollout_fails_no_request(self, stack):
        before = set(stack.containers("web"))
        with under_load(stack.port, [ARTICLES]) as load:
            done = subprocess.run(
                ["compose/rollout.sh"],
                cwd=stack.clone,
                env=stack.environment,
                capture_output=True,
                text=True,
                check=False,
            )
        assert done.returncode == 0, done.stdout + done.stderr
        check(load)
        assert len(stack.containers("web")) == 3
        assert not before & set(stack.containers("web"))

    def test_web_containers_restarted_in_turn_fail_no_request(self, stack):
        with under_load(stack.port, [ARTICLES]) as load:
            for container in stack.containers("web"):
                docker("restart", "--time", "30", container)
                wait_until(
                    lambda name=container: inspect(name)["State"]["Health"]["Status"] == "healthy",  # type: ignore[misc]  # a default binds it
                    "the container's health",
                )
        check(load)

    def test_redis_restarted_is_noticed_by_no_reader(self, stack):
        with under_load(stack.port, [ARTICLES], rate=50) as load:
            time.sleep(1)
            stack.compose("restart", "redis")
            time.sleep(3)
        check(load)

    def test_mysql_restarted_is_answered_with_503_and_over_within_seconds(self, stack):
        with under_load(stack.port, [ARTICLES, USERS], rate=50) as load:
            time.sleep(1)
            stack.compose("restart", "mysql")
            wait_until(
                lambda: stack.attempt("exec", "-T", "mysql", "healthy").returncode == 0,
                "MySQL's return",
            )
            back = time.monotonic()
            time.sleep(RECOVERY + 2)
        check(load, 503)
        assert load.statuses[503]
        assert load.last_failure() - back < RECOVERY

    def test_nginx_restarted_is_back_within_seconds(self, stack):
        with under_load(stack.port, [ARTICLES], rate=50) as load:
            time.sleep(1)
            stack.compose("restart", "nginx")
            back = time.monotonic()
            time.sleep(RECOVERY)
        assert load.last_failure() - back < RECOVERY
        assert not [status for status in load.statuses if isinstance(status, int) and status >= 500]


class TestProduction:
    def test_nothing_starts_with_the_well_known_secrets(self, stack):
        known = {"MYSQL_PASSWORD": "strongback", "REDIS_PASSWORD": "strongback"}
        done = stack.attempt(*RUN, "-e", "APP_ENV=production", "web", **known)
        assert done.returncode != 0
        for variable in ("APP_SECRET_KEY", "MYSQL_PASSWORD", "REDIS_PASSWORD"):
            assert variable in done.stdout + done.stderr

    def test_a_migration_starts_without_a_key(self, stack):
        stack.compose(*RUN, "-e", "APP_ENV=production", "migrate")

    def test_secrets_in_files_are_signed_in_with(self, stack, tmp_path):
        for name in SECRETS["web"]:
            variable = name.upper()
            value = stack.environment.get(variable, secrets.token_urlsafe(48))
            (tmp_path / name).write_text(value)
        files = ("-f", "compose.yaml", "-f", "compose/secret.yaml")
        run = (*files, *RUN, "-e", "APP_ENV=production", "web", "flask", "doctor")
        found = stack.compose(*run, SECRETS=str(tmp_path))
        assert "PROBLEM" not in found
        assert "Redis" in found

    def test_secrets_in_files_take_the_place_of_variables(self, stack):
        files = ("-f", "compose.yaml", "-f", "compose/secret.yaml")
        facts = json.loads(stack.compose(*files, "--profile", "*", "config", "--format", "json"))
        for name, needed in SECRETS.items():
            service = facts["services"][name]
            assert {secret["source"] for secret in service["secrets"]} == needed
            assert not {secret.upper() for secret in needed} & service.get("environment", {}).keys()


class TestFlower:
    def test_shows_the_workers_to_those_who_know_the_password(self, stack):
        password = secrets.token_urlsafe()
        stack.compose("--profile", "flower", "up", "--detach", "--wait", FLOWER_PASSWORD=password)
        assert stack.status("/flower/workers") == 401
        address = f"http://127.0.0.1:{stack.port}/flower/api/workers"
        wait_until(
            lambda: bool(httpx.get(address, auth=("admin", password)).json()),
            "a worker's sign of life",
        )


class TestDevelopment:
    def test_a_change_of_any_module_is_served_without_a_restart(self, stack):
        stack.compose("--profile", "dev", "up", "--detach", "--wait", "--scale", "web=0")
        for path, old, new in (
            (
                "src/strongback/web/health.py",
                'Literal["ok"] = "ok"',
                'Literal["changed"] = "changed"',
            ),
            (
                "src/strongback/exceptions.py",
                '"The requested resource was not found."',
                '"It is not there."',
            ),
        ):
            file = stack.clone / path
            text = file.read_text()
            assert old in text
            file.write_text(text.replace(old, new, 1))
        wait_until(lambda: b"changed" in stack.read("/livez"), "the change of a view")
        wait_until(lambda: b"It is not there." in stack.read("/nothing"), "that of an error")
