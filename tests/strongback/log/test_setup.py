from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import structlog
from pydantic import BaseModel, Field, SecretStr, ValidationError
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from app.core.config import ROOT, Settings
from strongback.config import LogFormat, LogLevel
from strongback.exceptions import ConfigurationError
from strongback.log import setup as log_config
from strongback.log.mask import escape_controls, mask_fields, mask_text
from strongback.log.output import build_output
from strongback.log.setup import LogConfig, configure_logging, get_logger, log_access
from tests.support.log import reset_log

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
CONTROLS = [
    "\n",
    "\r",
    "\r\n",
    "\x0b",
    "\x0c",
    "\x1c",
    "\x85",
    "\u2028",
    "\u2029",
    "\x1b[2K",
    "\x00",
]
FORGED = "2026-01-01T00:00:00.000Z [INFO     ] forged"

Read = Callable[[], list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def _restored_logging() -> Iterator[None]:
    """Leave the loggers as they were: other tests share this process."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    hooks = sys.excepthook, threading.excepthook
    yield
    root.handlers[:], root.level = handlers, level
    sys.excepthook, threading.excepthook = hooks
    logging.captureWarnings(capture=False)
    structlog.contextvars.clear_contextvars()
    reset_log()


class Streams:
    """What went to the standard output and error since the test began."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture
        self._output = self._error = ""

    @property
    def output(self) -> str:
        self._read()
        return self._output

    @property
    def error(self) -> str:
        self._read()
        return self._error

    def _read(self) -> None:
        new = self._capture.readouterr()
        self._output += new.out
        self._error += new.err


def parse(lines: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines.splitlines()]


@pytest.fixture
def streams(capsys: pytest.CaptureFixture[str]) -> Streams:
    return Streams(capsys)


@pytest.fixture
def console(settings: Settings, streams: Streams) -> Streams:
    """Events as people see them."""
    configure_logging(settings.model_copy(update={"log_format": LogFormat.CONSOLE}))
    return streams


@pytest.fixture
def as_json(settings: Settings) -> Settings:
    return settings.model_copy(update={"log_format": LogFormat.JSON})


@pytest.fixture
def errors(as_json: Settings, streams: Streams) -> Read:
    """Read the error stream's events."""
    configure_logging(as_json)
    return lambda: parse(streams.error)


@pytest.fixture
def accesses(as_json: Settings, streams: Streams) -> Read:
    """Read the access stream's events."""
    configure_logging(as_json)
    return lambda: parse(streams.output)


# Events


def test_an_event_has_a_utc_time_a_level_its_logger_and_its_fields(errors: Read) -> None:
    get_logger("app.article").info("article_published", slug="hello", version=3)
    [event] = errors()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event.pop("timestamp"))
    assert event == {
        "level": "INFO",
        "stream": "error",
        "event": "article_published",
        "logger": "app.article",
        "slug": "hello",
        "version": 3,
    }


def test_what_is_bound_to_the_context_is_in_every_event(errors: Read, accesses: Read) -> None:
    structlog.contextvars.bind_contextvars(request_id="r1")
    get_logger().warning("own")
    logging.getLogger("library").warning("theirs")
    log_access(method="GET", status=200)
    assert [event["request_id"] for event in [*errors(), *accesses()]] == ["r1"] * 3


def test_fields_cannot_replace_what_the_event_says_of_itself(errors: Read) -> None:
    get_logger().info("real", level="forged", stream="access", timestamp="never")
    [event] = errors()
    assert (event["level"], event["stream"], event["event"]) == ("INFO", "error", "real")
    assert event["timestamp"] != "never"


def test_an_exception_carries_its_whole_traceback_with_its_cause(errors: Read) -> None:
    try:
        try:
            int("x")
        except ValueError as error:
            raise LookupError("outer") from error
    except LookupError:
        get_logger().exception("lookup_failed")
    [event] = errors()
    assert event["level"] == "ERROR"
    assert event["exception"].startswith("Traceback (most recent call last):")
    assert "ValueError: invalid literal" in event["exception"]
    assert event["exception"].endswith("LookupError: outer")


def test_levels_below_the_setting_are_not_written(as_json: Settings, streams: Streams) -> None:
    configure_logging(as_json.model_copy(update={"log_level": LogLevel.WARNING}))
    get_logger().info("quiet")
    log_access(status=200)
    logging.getLogger("library").info("quiet")
    assert (streams.output, streams.error) == ("", "")


def test_a_logger_made_and_used_earlier_follows_the_newest_settings(
    as_json: Settings, streams: Streams
) -> None:
    log = get_logger("app.early")
    configure_logging(as_json.model_copy(update={"log_level": LogLevel.ERROR}))
    log.info("hidden")
    configure_logging(as_json)
    log.info("shown")
    assert [event["event"] for event in parse(streams.error)] == ["shown"]


def test_values_that_json_does_not_know_are_written_as_text(errors: Read) -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError

    get_logger().info(
        "odd", big=2**70, half="\ud800", nan=float("nan"), raw=b"\xff", broken=Broken(), kinds={1}
    )
    [event] = errors()
    assert event["broken"] == "<Broken that cannot be printed>"
    assert event["kinds"] == [1]


def test_a_structure_that_contains_itself_ends(errors: Read) -> None:
    loop: list[object] = []
    loop.append(loop)
    get_logger().info("loop", value=loop)
    assert "…" in str(errors()[0]["value"])


def test_an_application_names_its_loggers_and_secrets(as_json: Settings, streams: Streams) -> None:
    added = LogConfig(levels={"shop": None, "chatty": "ERROR"}, secret_keys=["iban"])
    configure_logging(as_json.model_copy(update={"log_level": LogLevel.DEBUG}), added)
    configure_logging(as_json.model_copy(update={"log_level": LogLevel.DEBUG}))
    logging.getLogger("shop.order").debug("ordered")
    logging.getLogger("chatty").warning("nothing to see")
    logging.getLogger("other").debug("nothing either")
    get_logger("shop").info("paid", IBAN="DE02120300000000202051")
    ordered, paid = parse(streams.error)
    assert (ordered["event"], paid["event"], paid["IBAN"]) == ("ordered", "paid", "***")


# Libraries


@pytest.mark.parametrize("name", [*log_config.LIBRARIES, "some.library"])
def test_a_library_with_a_handler_of_its_own_is_written_once(
    name: str, as_json: Settings, streams: Streams
) -> None:
    logger = logging.getLogger(name)
    logger.addHandler(logging.StreamHandler(sys.stderr))
    configure_logging(as_json)
    configure_logging(as_json)
    logger.error("happened to %s", "it")
    [event] = parse(streams.error)
    assert ("happened to it", name, "ERROR") == (event["event"], event["logger"], event["level"])


def test_debug_events_of_libraries_stay_away_and_ours_come(
    as_json: Settings, streams: Streams
) -> None:
    configure_logging(as_json.model_copy(update={"log_level": LogLevel.DEBUG}))
    logging.getLogger("authlib").debug("token")
    get_logger().debug("ours")
    assert [event["event"] for event in parse(streams.error)] == ["ours"]


def test_a_library_record_with_wrong_arguments_is_still_written(errors: Read) -> None:
    record = logging.LogRecord("library", logging.WARNING, "", 0, "%d items", ("many",), None)
    log_config.LibraryHandler().handle(record)
    assert errors()[0]["event"].startswith("%d items")


def test_warnings_are_events(errors: Read) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn("old name", DeprecationWarning, stacklevel=1)
    assert (errors()[0]["logger"], errors()[0]["level"]) == ("py.warnings", "WARNING")


@pytest.mark.parametrize("where", ["main", "thread"])
@pytest.mark.usefixtures("starts_processes")
def test_an_uncaught_exception_is_one_event(where: str) -> None:
    raising = "raise ValueError('password=hunter2\\nforged')"
    program = (
        "import threading\nfrom app.core.config import Settings\n"
        "from strongback.log.setup import configure_logging\n"
        "configure_logging(Settings(_env_file=None, log_format='json'))\n"
        f"def run():\n    {raising}\n"
        + ("run()" if where == "main" else "threading.Thread(target=run).start()")
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    [line] = done.stderr.splitlines()
    event = json.loads(line)
    assert event["event"] == "uncaught_exception"
    assert "hunter2" not in line


# Access


def test_an_access_event_goes_to_the_standard_output_alone(
    accesses: Read, streams: Streams
) -> None:
    log_access(method="GET", route="/a/<b>", path="/a/1", status=200, duration_ms=1.5, user=None)
    [event] = accesses()
    assert {
        "stream": "access",
        "event": "request",
        "status": 200,
        "user": None,
    }.items() <= event.items()
    assert streams.error == ""


@pytest.mark.parametrize(
    "status, level", [(101, "INFO"), (200, "INFO"), (399, "INFO"), (404, "WARNING"), (500, "ERROR")]
)
def test_an_access_event_is_as_severe_as_its_status(
    status: int, level: str, accesses: Read
) -> None:
    log_access(status=status)
    assert level == accesses()[0]["level"]


def test_an_access_event_is_masked_like_any_other(accesses: Read) -> None:
    log_access(
        path="/reset?token=abc123", user="13812345678", token="abc", extra={"code": "123456"}
    )
    [event] = accesses()
    assert (event["path"], event["user"], event["token"]) == ("/reset?token=***", "***", "***")
    assert event["extra"] == {"code": "***"}


# Masking


@pytest.mark.parametrize(
    "raw, masked",
    [
        ("Bearer abc.def-ghi", "Bearer ***"),
        ("authorization: Bearer abc", "authorization: ***"),
        ("Authorization: Basic dXNlcjpwYXNz", "Authorization: ***"),
        ("sent Basic dXNlcjpwYXNz", "sent Basic ***"),
        ("Basic authentication is off", "Basic authentication is off"),
        ("Cookie: session=abc; theme=dark", "Cookie: ***"),
        (f"claims of {JWT} are", "claims of *** are"),
        ("/reset?token=abc&next=/", "/reset?token=***&next=/"),
        (
            "grant_type=password&username=a&password=h%20x",
            "grant_type=password&username=a&password=***",
        ),
        ("new_password=one&refresh_token=two", "new_password=***&refresh_token=***"),
        ("User(password='hunter 2', age=3)", "User(password='***', age=3)"),
        ("""{"password": "hunter \\" 2", "age": 3}""", """{"password": "***", "age": 3}"""),
        ("{'api_key': 'k', 'n': 1}", "{'api_key': '***', 'n': 1}"),
        ("x-api-key: abc", "x-api-key: ***"),
        ('password="cut off', 'password="***"'),
        ("WHERE token = 'abc' AND x", "WHERE token = '***' AND x"),
        ("/sms?code=123456", "/sms?code=***"),
        ("status_code=404 code=404", "status_code=404 code=404"),
        ("mysql+pymysql://app:p@ss@db:3306/x", "mysql+pymysql://app:***@db:3306/x"),
        ("redis://:secret@cache/0", "redis://:***@cache/0"),
        ("http://127.0.0.1:8000/a", "http://127.0.0.1:8000/a"),
        ("call +8613812345678 now", "call *** now"),
        ("call +1 415 555 2671", "call ***"),
        ("to=%2B8613812345678", "to=%2B***"),
        ("/users/13812345678", "/users/***"),
        ("138 1234 5678 and 139-1234-5678", "*** and ***"),
        ("Duplicate entry '13812345678' for key", "Duplicate entry '***' for key"),
        ("at 1700000000 and 1700000000123", "at 1700000000 and 1700000000123"),
        ("id 0192f0c1d2e34f5a9b13812345678abc", "id 0192f0c1d2e34f5a9b13812345678abc"),
        ("id 13812345678901234567", "id 13812345678901234567"),
        ("2026-11-22T10:00:00+08:00", "2026-11-22T10:00:00+08:00"),
        ("Invalid password: too short", "Invalid password: too short"),
    ],
)
def test_secrets_in_texts_are_masked_and_the_rest_is_not(raw: str, masked: str) -> None:
    assert masked == mask_text(raw)
    assert masked == mask_text(masked), "masking twice changes nothing"


@pytest.mark.parametrize(
    "key",
    [
        "password",
        "new_password",
        "PASSWORD",
        "access_token",
        "accessToken",
        "refresh_token",
        "token",
        "Authorization",
        "proxy-authorization",
        "cookie",
        "Set-Cookie",
        "secret",
        "client_secret",
        "code",
        "sms_code",
        "phone",
        "phone_number",
        "api_key",
        "X-API-Key",
        "apiKey",
        "otp",
    ],
)
def test_values_under_secret_keys_are_masked_at_any_depth(key: str) -> None:
    fields = {"outer": [{"inner": {key: ["s3cr3t"]}}], key: 123456}
    assert {"outer": [{"inner": {key: "***"}}], key: "***"} == mask_fields(fields)


@pytest.mark.parametrize(
    "key", ["error_code", "status", "cache_key", "username", "encoded", "phonetic"]
)
def test_other_keys_keep_their_values(key: str) -> None:
    assert {key: "value"} == mask_fields({key: "value"})


def test_numbers_and_an_http_status_are_no_secrets() -> None:
    fields = {"id": 13812345678, "code": 404, "password": None, "took": 1.5}
    assert fields == mask_fields(fields)


def test_a_secret_of_the_settings_stays_one() -> None:
    assert "hunter2" not in str(
        mask_fields({"value": SecretStr("hunter2"), "list": [SecretStr("hunter2")]})
    )


def test_a_database_error_shows_neither_parameters_nor_address(errors: Read) -> None:
    engine = create_engine("sqlite://")
    entered = "hunter2"
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT * FROM nowhere WHERE a = :a"), {"a": entered})
    except SQLAlchemyError:
        get_logger().exception("query_failed", address="mysql://root:hunter2@db/x")
    engine.dispose()
    [event] = errors()
    assert "hunter2" not in str(event)
    assert "no such table: nowhere" in event["exception"]


def test_a_validation_error_does_not_show_what_was_entered(errors: Read) -> None:
    class Body(BaseModel):
        password: str = Field(min_length=10)

    try:
        Body(password="hunter2")
    except ValidationError:
        get_logger().exception("body_refused")
    assert "hunter2" not in str(errors()[0])
    assert "at least 10 characters" in errors()[0]["exception"]


@pytest.mark.parametrize(
    "piece",
    [
        "eyJ",
        "eyJa.",
        "password=",
        "password='",
        "://",
        "://a:",
        "+1",
        "1381234",
        "bearer ",
        "cookie:",
    ],
)
def test_masking_a_long_hostile_text_takes_time_in_proportion(piece: str) -> None:
    started = time.process_time()
    mask_text(piece * (200_000 // len(piece)), limit=200_000)
    assert time.process_time() - started < 5


# Forged lines


@pytest.mark.parametrize("control", CONTROLS)
def test_no_text_starts_a_line_on_the_console(control: str, console: Streams) -> None:
    forged = f"x{control}{FORGED}"
    structlog.contextvars.bind_contextvars(request_id=forged)
    get_logger(forged).info(forged, value=forged, nested={forged: [forged]}, **{forged: forged})
    logging.getLogger("library").warning(forged)
    lines = console.error.splitlines()
    assert len(lines) == 2
    assert "\x1b" not in console.error


@pytest.mark.parametrize("control", CONTROLS)
def test_no_text_starts_a_line_in_json(control: str, errors: Read, streams: Streams) -> None:
    forged = f"x{control}{FORGED}"
    get_logger().info("event", value=forged)
    log_access(path=forged)
    get_logger().error("failed", exc_info=ValueError(forged))
    assert forged == errors()[0]["value"]
    assert [len(lines.splitlines()) for lines in (streams.error, streams.output)] == [2, 1]


def test_a_traceback_on_the_console_is_readable_and_set_in(console: Streams) -> None:
    try:
        int("x")
    except ValueError as error:
        error.add_note(f"note\n{FORGED}\u2028{FORGED}")
        get_logger().exception("failed")
    first, *rest = console.error.splitlines()
    assert "failed" in first
    assert rest[0] == "    Traceback (most recent call last):"
    assert all(line.startswith("    ") for line in rest)


def test_direction_overrides_are_shown_as_escapes() -> None:
    assert escape_controls("a\u202eb\x1b\ud800é中") == r"a\u202eb\x1b\ud800é中"


# Files


def test_files_hold_json_lines_beside_a_console(
    settings: Settings, streams: Streams, tmp_path: Path
) -> None:
    configure_logging(settings.model_copy(update={"log_dir": tmp_path / "log"}))
    log_access(status=200)
    get_logger().info("started")
    events = [
        json.loads((tmp_path / f"log/{name}.log").read_text()) for name in ("access", "error")
    ]
    assert [event["event"] for event in events] == ["request", "started"]
    assert "started" in streams.error
    assert not streams.error.startswith("{")


def test_a_log_folder_that_cannot_be_written_refuses_to_start(
    settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"^LOG_DIR: .*folder that this user may write"):
        configure_logging(settings.model_copy(update={"log_dir": tmp_path / "file" / "log"}))


def test_a_full_disk_is_reported_once_and_breaks_nothing(
    settings: Settings, streams: Streams, tmp_path: Path
) -> None:
    (tmp_path / "error.log").symlink_to("/dev/full")
    there = settings.model_copy(update={"log_dir": tmp_path})
    configure_logging(there)
    for number in range(3):
        get_logger().info("written", number=number)
    assert streams.error.count("No space left on device") == 1
    assert streams.error.count("written") == 3
    with suppress(OSError):  # there is no room for what it has not written
        build_output(there).files["error"].close()


WRITER = """
import sys, os
from strongback.config import Settings
from strongback.log.setup import configure_logging, get_logger
configure_logging(Settings(_env_file=None, log_dir=sys.argv[1], log_format="json"))
child = os.fork()
log = get_logger()
for number in range(int(sys.argv[2])):
    log.info("line", pid=os.getpid(), number=number, filler="x" * (number % 7000))
if child:
    os.waitpid(child, 0)
"""


@pytest.mark.usefixtures("starts_processes")
def test_no_line_is_lost_or_torn_while_the_file_is_renamed(tmp_path: Path) -> None:
    """Four processes, two of them forked after the file was opened, write through rotations."""
    count, current = 1500, tmp_path / "error.log"
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(count)],
            cwd=ROOT,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(2)
    ]
    rotations = 0
    while any(writer.poll() is None for writer in writers):
        if current.exists() and current.stat().st_size > 500_000:
            rotations += 1
            current.rename(tmp_path / f"error.log.{rotations}")
    lines = [event for file in tmp_path.iterdir() for event in parse(file.read_text())]
    written: dict[int, set[int]] = {}
    for line in lines:
        written.setdefault(line["pid"], set()).add(line["number"])
    assert [writer.returncode for writer in writers] == [0, 0]
    assert rotations >= 3
    assert 4 * count == len(lines)
    assert [set(range(count))] * 4 == list(written.values())
