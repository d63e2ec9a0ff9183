"""What is published: its contents, and that it works where nothing else is installed.

An editable install hides what a wheel lacks. So it is built here as PDM builds it, and put into an
environment that has the base dependencies and nothing else, copied from the one that runs: no
network is needed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import distribution, version
from importlib.util import cache_from_source
from pathlib import Path

import httpx
import pytest
from packaging.requirements import Requirement

from app.core.config import ROOT
from strongback.testing.port import free_port

pytestmark = pytest.mark.usefixtures("starts_processes")

PROJECT = ("pyproject.toml", "README.md", "LICENSE")
BUILD = """
import sys
import pdm.backend

pdm.backend.build_wheel(sys.argv[1])
pdm.backend.build_sdist(sys.argv[1])
"""
BOOKS = """
from sqlalchemy.orm import Mapped
from strongback import Settings, Strongback, load_settings
from strongback.database import Base, Database, Identified
from strongback.schema import RequestBody
from strongback.web import APIBlueprint, inject, public

class Book(Identified, Base):
    __tablename__ = "book"
    title: Mapped[str]

class BookIn(RequestBody):
    title: str

api, database = APIBlueprint("book", __name__, url_prefix="/books"), inject(Database)

@api.post("")
@public
def add_book(body: BookIn):
    book = Book(title=body.title)
    database.transact(lambda session: session.add(book))
    return {"id": book.id, "title": book.title}, 201

def create_app():
    app = Strongback(__name__, load_settings(Settings), title="Books")
    app.register_api(api)
    return app.checked()
"""
"""About the least that there is: a route and a model."""
TO_DO = """
from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column
from strongback import Settings, Strongback, load_settings, oauth, search, sms, task
from strongback.auth import Account, Permission
from strongback.database import Base, Database, Identified
from strongback.schema import RequestBody, Schema
from strongback.task import TaskPermission
from strongback.web import APIBlueprint, inject, needs

class ToDoPermission(Permission):
    WRITE = ("task:write", "Write down what is to do.")

EVERYTHING = frozenset((*ToDoPermission, *TaskPermission))
ADA = Account(1, "ada", EVERYTHING, disabled=False, password_changed_at=None)

class Owner:
    def account(self, user_id, *, lock=False):
        return ADA if user_id == ADA.id else None

    def check_password(self, username, password):
        return ADA if (username, password) == ("ada", "steep it slowly") else None

    def account_of_phone(self, phone):
        return None

class Task(Identified, Base):
    __tablename__ = "task"
    title: Mapped[str] = mapped_column(String(200))
    done: Mapped[bool] = mapped_column(default=False)

class TaskIn(RequestBody):
    title: str

class TaskOut(Schema):
    id: int
    title: str
    done: bool

api = APIBlueprint("tasks", __name__, url_prefix="/api/v1/tasks")
database = inject(Database)

@api.post("", responses={201: TaskOut})
@needs(ToDoPermission.WRITE)
def add_task(body: TaskIn):
    added = Task(title=body.title)
    database.transact(lambda session: session.add(added))
    return added, 201

def create_app(settings=None):
    roles, settings = {"owner": EVERYTHING}, settings or load_settings(Settings)
    app = Strongback(__name__, settings, title="To do", roles=roles)
    task.register(app, "/api/v1/background")
    search.register(app)
    sms.register(app, "/api/v1")
    oauth.register(app, Owner(), "/api/v1")
    app.register_api(api)
    return app.checked()
"""
"""An application that has tasks itself: a table, routes, a schema and a permission of that name."""
TO_DO_EXTRAS = {"celery", "search", "sms", "testing"}
CONFTEST = """
import pytest
from todo import create_app

@pytest.fixture(scope="session")
def application_factory():
    return create_app
"""
TO_DO_TEST = """
def test_a_task_is_added(client, sign_in):
    response = client.post("/api/v1/tasks", json={"title": "Tea"}, headers=sign_in(1))
    assert (response.status_code, response.json["id"]) == (201, 1)

def test_a_stranger_adds_none(client):
    assert client.post("/api/v1/tasks", json={"title": "Tea"}).status_code == 401

def test_redis_is_there(redis_server, app):
    assert redis_server.port
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist."""
    source = tmp_path_factory.mktemp("source")
    for name in PROJECT:
        shutil.copy(ROOT / name, source)
    for name in ("src", "app", "migrations", "tests"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    subprocess.run(
        [sys.executable, "-c", BUILD, "dist"], cwd=source, check=True, capture_output=True
    )
    return source / "dist"


@pytest.fixture(scope="module")
def python(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment in which the wheel is installed without an extra."""
    return install(built, tmp_path_factory.mktemp("environment"), set())


def install(built: Path, folder: Path, extras: set[str]) -> Path:
    """Install the wheel with extras into an environment of its own; returns its interpreter."""
    venv.create(folder, symlinks=True)
    minor = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = folder / "lib" / minor / "site-packages"
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)  # noqa: S202  built here
    for name in sorted(_closure(wheel, extras)):
        _copy(name, packages)
    return folder / "bin" / "python"


def _closure(wheel: Path, extras: set[str]) -> set[str]:
    """The distributions that the wheel's requirements bring, with those of the extras."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith("/METADATA"))
        lines = archive.read(name).decode().partition("\n\n")[0].splitlines()
    head = "Requires-Dist: "
    wanted = [line.removeprefix(head) for line in lines if line.startswith(head)]
    waiting = [(line, extra) for line in wanted for extra in {"", *extras}]
    found: set[tuple[str, str]] = set()
    while waiting:
        text, extra = waiting.pop()
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        for each in {"", *requirement.extras}:
            if (requirement.name, each) not in found:
                found.add((requirement.name, each))
                needed = distribution(requirement.name).requires or []
                waiting += [(line, each) for line in needed]
    return {name for name, _ in found}


def _copy(name: str, packages: Path) -> None:
    """Copy a distribution, with what has been compiled of it."""
    for file in distribution(name).files or []:
        if ".." not in file.parts and "__pycache__" not in file.parts:
            source, target = Path(str(file.locate())), packages / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
            if file.suffix == ".py" and (compiled := Path(cache_from_source(source))).exists():
                compiled_target = Path(cache_from_source(target))
                compiled_target.parent.mkdir(exist_ok=True)
                shutil.copy2(compiled, compiled_target)


FORKS = """
import json, os, sys, traceback
import flask_openapi, pydantic_settings, sqlalchemy.orm, sqlalchemy.dialects.sqlite, structlog

def perform(code, variables, folder):
    for number, name in (1, "out"), (2, "err"):
        os.dup2(os.open(f"{folder}/{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.environ.clear()
    os.environ.update(variables)
    try:
        exec(code, {"__name__": "__main__"})
        status = 0
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)

for line in sys.stdin:
    if not (child := os.fork()):
        perform(*json.loads(line))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""Runs code in a process of its own, which finds the libraries imported, but no module of ours."""


@dataclass
class Interpreter:
    """That of an environment, which imports its libraries once for all that it runs."""

    path: Path
    folder: Path
    process: subprocess.Popen[str]

    def run(self, code: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run code with these variables alone."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps([code, variables, str(self.folder)]) + "\n")
        self.process.stdin.flush()
        status = int(self.process.stdout.readline())
        printed = [(self.folder / name).read_text() for name in ("out", "err")]
        return subprocess.CompletedProcess(code, status, *printed)


@pytest.fixture(scope="module")
def interpreter(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Interpreter]:
    """What runs code with the base dependencies."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [python, "-I", "-c", FORKS], stdin=pipe, stdout=pipe, env={}, text=True
    ) as process:
        yield Interpreter(python, tmp_path_factory.mktemp("printed"), process)


def output(python: Path, code: str) -> str:
    """What code prints in a fresh interpreter."""
    done = subprocess.run(
        [python, "-I", "-c", code], env={}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# What is in it


def test_the_wheel_has_the_framework_and_nothing_else(built):
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    source = ROOT / "src"
    expected = {
        str(path.relative_to(source))
        for path in (source / "strongback").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in names if ".dist-info/" not in name} == expected
    assert expected >= {
        "strongback/py.typed",
        "strongback/auth/common_password.txt",
        "strongback/migration/versions/1795742999_strongback_create_tables.py",
        "strongback/migration/versions/script.py.mako",
        "strongback/server/gunicorn_config.py",
        "strongback/static/docs.js",
        "strongback/translation/zh/LC_MESSAGES/messages.mo",
    }
    assert f"strongback-{version('strongback')}.dist-info/licenses/LICENSE" in names


def test_the_sdist_has_the_sources_of_the_wheel_and_nothing_else(built):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    files = {name for name in names if not name.startswith("src/strongback/")}
    assert files == {*PROJECT, "PKG-INFO"}
    assert {"src/strongback/app.py", "src/strongback/py.typed"} <= names


# How it works with the base dependencies


def test_importing_it_imports_no_library(python):
    loaded = output(
        python,
        "import sys; before = set(sys.modules); import strongback\n"
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before}"
        " - sys.stdlib_module_names))",
    )
    assert loaded == "strongback"


def test_the_version_is_that_of_the_installed_package(python):
    found = output(python, "from importlib.metadata import version; print(version('strongback'))")
    assert found == version("strongback")


@pytest.mark.parametrize("part", ["cache", "outbox"])
def test_a_part_that_is_used_alone_imports_no_flask(python, part):
    code = (
        f"import sys, strongback.{part}; print({{'flask', 'werkzeug', 'redis'}} & {{*sys.modules}})"
    )
    assert output(python, code) == "set()"


MODULES = (
    "app cache cli.cache cli.doctor idempotency log.setup task.maintenance migration.runner oauth"
    " outbox rate_limit realtime search sms task upload web"
)


@pytest.mark.parametrize("module", MODULES.split())
def test_every_part_can_be_imported_before_it_is_configured(interpreter, module):
    done = interpreter.run(f"import strongback.{module}")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "variable, value, extra",
    [
        ("REDIS_URL", "redis://127.0.0.1", "redis"),
        ("CELERY_BROKER_URL", "redis://127.0.0.1", "celery"),
        ("MEILI_URL", "http://127.0.0.1:7700", "meilisearch"),
        ("MYSQL_HOST", "127.0.0.1", "mysql"),
        ("DATABASE_URL", "mysql+pymysql://u:p@127.0.0.1/d", "mysql"),
        ("DATABASE_URL", "mysql+mysqldb://u:p@127.0.0.1/d", "mysqlclient"),
        ("WEB_SERVER", "granian", "granian"),
    ],
)
def test_a_variable_without_its_extra_is_refused_in_one_line(interpreter, variable, value, extra):
    code = "from strongback import Settings, load_settings; load_settings(Settings)"
    error = interpreter.run(code, **{variable: value}).stderr.splitlines()[-1]
    assert error.startswith(f"strongback.exceptions.ConfigurationError: {variable}")
    assert error.endswith(f'not installed: pip install "strongback[{extra}]"')


WITH_A_BROKER = """
from strongback.task.dispatcher import Dispatcher
from strongback.task.runtime import TaskRuntime
broker = settings.model_copy(update={"celery_broker_url": "redis://127.0.0.1"})
Dispatcher(TaskRuntime(broker, None, None, None, None), None)
"""


@pytest.mark.parametrize(
    "code, extra",
    [
        ("from strongback.cache import RedisStorage", "redis"),
        ("from strongback.redis import RedisClient", "redis"),
        ("from strongback.search import build_engine; build_engine(settings)", "search"),
        ("from strongback.sms import build_sender; build_sender(settings)", "sms"),
        ("from strongback import realtime; realtime.register(None, '')", "realtime"),
        (WITH_A_BROKER, "celery"),
    ],
)
def test_a_part_without_its_extra_is_refused_in_one_line(interpreter, code, extra):
    setting = "from strongback import Settings, load_settings; settings = load_settings(Settings)\n"
    error = interpreter.run(setting + code).stderr.splitlines()[-1]
    assert error.startswith("strongback.exceptions.ConfigurationError: ")
    assert error.endswith(f'not installed: pip install "strongback[{extra}]"')


TASK = """
import sys, time
from strongback import Settings, Strongback, load_settings, task
from strongback.database import Base
from strongback.outbox import MessageState
from strongback.task.permission import TaskPermission

group = task.TaskGroup("book")

@group.consumer("print", on="book:written")
def print_book(_, *, title):
    print(title, flush=True)

roles = {"user": frozenset(TaskPermission)}
app = Strongback(__name__, load_settings(Settings), title="Books", roles=roles)
task.register(app, "/api").add(group)
app.outbox.declare("book", "book:written")
app.checked()
Base.metadata.create_all(app.database.engine)
app.background.start()
app.database.transact(lambda _: app.outbox.emit("book:written", {"title": "Emma"}))

def is_done():
    with app.database.scope():
        return not any(app.outbox.count(state) for state in MessageState)

while not is_done():
    time.sleep(0.05)
app.background.stop()
"""


def test_tasks_run_without_an_extra(interpreter, tmp_path):
    done = interpreter.run(TASK, APP_VAR_DIR=str(tmp_path))
    assert done.stdout == "Emma\n", done.stderr


# Applications


MIGRATE = """
import sys
from flask.cli import cli

for command in ["upgrade"], ["revision", "Create tables"], ["upgrade"]:
    cli.main(["--app", sys.argv[1], "db", *command], standalone_mode=False)
"""


@contextmanager
def serving(python: Path, folder: Path, name: str, code: str) -> Iterator[tuple[str, Path]]:
    """Migrate and serve an application; yields its address and the file with its log."""
    factory, port, log = f"{name}:create_app", free_port(), folder / "log"
    (folder / f"{name}.py").write_text(code)
    variables = {"PATH": os.defpath, "WEB_PORT": str(port), "LOG_FORMAT": "json"}
    migrate = [str(python), "-c", MIGRATE, factory]
    done = subprocess.run(
        migrate, cwd=folder, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    with log.open("w") as stream:
        server = subprocess.Popen(
            [python, "-m", "strongback.server.serve", factory],
            cwd=folder,
            env=variables,
            stdout=stream,
            stderr=stream,
        )
    try:
        _await(f"http://127.0.0.1:{port}/docs", server, log)
        yield f"http://127.0.0.1:{port}", log
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)


@pytest.fixture(scope="module")
def books(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A small application that is served."""
    with serving(python, tmp_path_factory.mktemp("books"), "books", BOOKS) as served:
        yield served


def _await(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        assert server.poll() is None, log.read_text()
        try:
            httpx.get(url)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    pytest.fail(log.read_text())


def test_an_application_serves_its_document(books):
    address, _ = books
    assert "swagger-ui" in httpx.get(f"{address}/docs").text
    assert httpx.get(f"{address}/static/swagger/js/swagger-ui-bundle.js").status_code == 200
    document = httpx.get(f"{address}/openapi.json").json()
    assert document["info"] == {"title": "Books", "version": "1"}
    assert "/books" in document["paths"]
    assert document["components"]["securitySchemes"] == {}  # nobody signs in


def test_an_application_validates(books):
    address, _ = books
    answer = httpx.post(f"{address}/books", json={"name": "a"}, headers={"Accept-Language": "zh"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "body.title"
    assert answer.json()["message"].startswith("请求")


def test_an_application_stores_and_logs(books):
    address, log = books
    answer = httpx.post(f"{address}/books", json={"title": "Emma"}, headers={"X-Request-ID": "r-1"})
    assert (answer.status_code, answer.json()) == (201, {"id": 1, "title": "Emma"})
    events = [json.loads(line) for line in log.read_text().splitlines() if '"r-1"' in line]
    assert [(each["path"], each["status"]) for each in events] == [("/books", 201)]


def test_a_table_with_the_prefix_of_the_framework_is_refused(python, tmp_path):
    """Autogenerate leaves such tables alone: nobody would make it."""
    (tmp_path / "books.py").write_text(BOOKS.replace('"book"\n', '"sb_book"\n', 1))
    flask = [str(python), "-m", "flask", "--app", "books:create_app", "routes"]
    done = subprocess.run(flask, cwd=tmp_path, env={}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: books.Book: tables that begin with sb_ are the framework")


def test_a_wrong_setting_ends_a_command_in_one_line(python, tmp_path):
    (tmp_path / "books.py").write_text(BOOKS)
    flask = [str(python), "-m", "flask", "--app", "books:create_app", "db", "upgrade"]
    done = subprocess.run(
        flask, cwd=tmp_path, env={"WEB_PORT": "x"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Error: WEB_PORT: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.fixture(scope="module")
def todo_python(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with what the application that has tasks needs, and with its tests'."""
    return install(built, tmp_path_factory.mktemp("todo"), TO_DO_EXTRAS)


def test_an_application_may_have_tasks_beside_those_of_the_framework(todo_python, tmp_path):
    """Its table, routes, schema and permission have names that the framework leaves to it."""
    with serving(todo_python, tmp_path, "todo", TO_DO) as (address, _):
        with httpx.Client(base_url=f"{address}/api/v1", timeout=30) as client:
            form = {"grant_type": "password", "username": "ada", "password": "steep it slowly"}
            token = client.post("/auth/token", data=form).json()["access_token"]
            client.headers["Authorization"] = f"Bearer {token}"
            added = client.post("/tasks", json={"title": "Buy tea"})
            expected = {"id": 1, "title": "Buy tea", "done": False}
            assert (added.status_code, added.json()) == (201, expected)
            assert client.get("/background/tasks/none").json()["error_code"] == 10040
        schemas = httpx.get(f"{address}/openapi.json").json()["components"]["schemas"]
        assert set(schemas["TaskOut"]["properties"]) == {"id", "title", "done"}
        assert "JobOut" in schemas


# Its tests


def results_of(python: Path, folder: Path, *options: str) -> dict[str, str]:
    """Run an application's tests; returns how each has ended, by its name."""
    command = [str(python), "-m", "pytest", "-rA", "-p", "no:cacheprovider", *options]
    done = subprocess.run(
        command,
        cwd=folder,
        env={"PATH": os.environ["PATH"], "WEB_PORT": "x"},  # a developer's own, and wrong
        capture_output=True,
        text=True,
        check=False,
    )
    ends = re.findall(r"^(PASSED|FAILED|ERROR|SKIPPED) \S+::(\S+)", done.stdout, re.MULTILINE)
    assert ends, done.stdout + done.stderr
    return {name: end for end, name in ends}


def test_the_plugin_tests_an_application_on_both_databases(
    todo_python, tmp_path, starts_mariadb, starts_redis
):
    for name, code in ("todo", TO_DO), ("conftest", CONFTEST), ("test_todo", TO_DO_TEST):
        (tmp_path / f"{name}.py").write_text(code)
    both = "test_a_task_is_added", "test_a_stranger_adds_none"
    on_sqlite = {f"{name}[sqlite]": "PASSED" for name in both}
    on_mariadb = {f"{name}[mariadb]": "PASSED" for name in both}
    on_redis = {f"test_redis_is_there[{name}]": "PASSED" for name in ("sqlite", "mariadb")}
    assert on_sqlite == results_of(todo_python, tmp_path, "-m", "not process")
    assert on_mariadb | on_redis == results_of(todo_python, tmp_path, "-m", "process")


def test_the_plugin_says_what_it_needs_to_know(todo_python, tmp_path):
    (tmp_path / "test_todo.py").write_text(TO_DO_TEST)
    results = results_of(todo_python, tmp_path, "-m", "not process")
    assert set(results.values()) == {"ERROR"}
