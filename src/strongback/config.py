"""Settings: the one reader of the environment.

Precedence is argument, process environment, `.env`, file of a secret, default. Every other module
is handed a `Settings` object and reads nothing by itself.
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Iterator
from enum import StrEnum
from itertools import pairwise, starmap
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self, TypeVar
from urllib.parse import unquote, urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy import URL, make_url

from strongback.address import (
    BucketURL,
    DatabaseURL,
    Host,
    HttpURL,
    Mailbox,
    MailURL,
    RedisURL,
    SSLMode,
    with_password,
)
from strongback.collision import path_of
from strongback.env_file import read_env_file
from strongback.exceptions import ConfigurationError
from strongback.extra import missing_extra

ENV_FILE = Path(".env")
DEVELOPMENT_SECRET = "development-only-secret-key-change-me"  # noqa: S105  refused in production
SECRETS = Path("/run/secrets")
"""Where Docker and its like put secrets: files named as the settings are."""
MIN_SECRET_LENGTH = 32
MIN_SECRET_CONTENT = 26
"""Compressed size of a secret in bytes. 32 random characters have 28 or more; repetitive or
sequential ones have 19 or fewer."""
ANY_ORIGIN = "*"
_LOOPBACK = re.compile(r"http://(localhost|127\.0\.0\.1)(:|$)")
SMS_ACCOUNT = ("sms_secret_id", "sms_secret_key", "sms_app_id", "sms_sign_name", "sms_template_id")
"""The settings of Tencent Cloud SMS, all of them or none."""
_EXTRAS = {
    "redis_url": "redis",
    "celery_broker_url": "celery",
    "meili_url": "meilisearch",
    "sms_app_id": "sms",
    "file_store_url": "file",
}
"""Extras that settings need once they are set."""
WELL_KNOWN_SECRETS = frozenset(
    {DEVELOPMENT_SECRET, "changeme", "secret", "password", "root", "admin", "strongback"}
)


class Environment(StrEnum):
    """The environment of the application."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"
    TEST = "test"


class LogFormat(StrEnum):
    """The format of log events."""

    CONSOLE = "console"
    JSON = "json"


class LogLevel(StrEnum):
    """The lowest level that is logged."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class WebServer(StrEnum):
    """The WSGI server that `flask serve` starts."""

    GUNICORN = "gunicorn"
    GRANIAN = "granian"


class SQLiteSynchronous(StrEnum):
    """When SQLite waits for the disk."""

    NORMAL = "normal"
    FULL = "full"


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _split(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _each_is(pattern: str, fault: str) -> AfterValidator:
    def check(values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            if not re.fullmatch(pattern, value):
                raise ValueError(f"{value!r} {fault}")
        return values

    return AfterValidator(check)


def _with_scheme(value: object) -> object:
    return f"https://{value}" if isinstance(value, str) and "://" not in value else value


def _is_weak(secret: str) -> bool:
    text = secret.encode()
    steps = bytes((after - before) % 256 for before, after in pairwise(text))
    content = min(len(zlib.compress(part, 9)) for part in (text, steps))
    return (
        secret in WELL_KNOWN_SECRETS
        or len(secret) < MIN_SECRET_LENGTH
        or content < MIN_SECRET_CONTENT
    )


def _is_guessable(password: str | None) -> bool:
    return not password or password in WELL_KNOWN_SECRETS


def _in_a_header(secret: SecretStr) -> SecretStr:
    if not re.fullmatch("[!-~]*", secret.get_secret_value()):
        raise ValueError(
            "has more than visible ASCII, which HTTP headers cannot carry; choose another"
        )
    return secret


SettingsT = TypeVar("SettingsT", bound="Settings")
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=3600)]
Origins = Annotated[
    tuple[str, ...],
    NoDecode,
    BeforeValidator(_split),
    _each_is(
        r"\*|[a-z][a-z0-9+.-]*://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?",
        "is not an origin as browsers send it: scheme://host or scheme://host:port, in lower case,"
        " without a path",
    ),
]
Prefixes = Annotated[
    tuple[str, ...],
    NoDecode,
    BeforeValidator(_split),
    _each_is(r"\+[1-9][0-9]{0,6}", "is not how a number begins: write +86 or +1415"),
]


class Settings(BaseSettings):
    """Every setting, typed, validated once and frozen.

    The variable is the attribute's name in capitals. An empty variable counts as not set.
    """

    model_config = SettingsConfigDict(
        secrets_dir=SECRETS if SECRETS.is_dir() else None,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
    )

    ROOT: ClassVar[Path] = Path.cwd()
    """Folder of the project, with `.env` and `migrations`; relative paths start there. Default: the
    working directory. The settings of an application name its own folder."""

    app_env: Environment = Environment.DEVELOPMENT
    """Environment of the application; `production` refuses unsafe settings at start."""
    app_debug: bool = False
    """Show tracebacks in the browser. Refused in production."""
    app_secret_key: SecretStr = SecretStr(DEVELOPMENT_SECRET)
    """Secret for all signatures: at least 32 characters, the same on all machines. Has a default
    outside production only."""
    app_secret_keys_old: SecretStr = SecretStr("")
    """Earlier values of `APP_SECRET_KEY`, separated by commas: their signatures stay valid until
    they expire. Remove them after an hour."""
    app_url: HttpURL | None = None
    """Public address of the server, such as `https://api.example.org`, also the issuer of tokens.
    Default: `http://WEB_HOST:WEB_PORT`."""
    app_var_dir: Annotated[Path, Field(validate_default=True)] = Path("var")
    """Folder for the files of the embedded mode: database, demo accounts, metrics."""

    web_server: WebServer = WebServer.GUNICORN
    """WSGI server: `gunicorn`, or `granian` (Rust; less CPU per request)."""
    web_host: str = "127.0.0.1"
    """Address to listen on."""
    web_port: Port = 8000
    """Port to listen on."""
    web_workers: Annotated[int, Field(ge=1, le=256)] = 1
    """Worker processes. SQLite allows one in production."""
    web_threads: Annotated[int, Field(ge=1, le=1024)] = 16
    """Threads of each worker; each request occupies one."""
    web_timeout: Seconds = 30
    """Seconds that a stopping worker waits for requests in flight, and after which an unresponsive
    worker is replaced. Single requests are limited by the database and by Nginx."""
    web_max_requests: Annotated[int, Field(ge=0, le=10**9)] = 100_000
    """Requests after which a Gunicorn worker is replaced, some 20 % more or less, as a bound on
    slow leaks; `0` for never. One worker alone is not replaced: it runs the embedded parts too."""
    web_proxies: Annotated[int, Field(ge=0, le=10)] = 0
    """Number of trusted reverse proxies in front, whose `X-Forwarded-*` headers are used. A number
    that is too high lets clients forge their address."""
    web_max_body: Annotated[int, Field(ge=1024, le=2**31)] = 1024 * 1024
    """Largest request body in bytes; a larger one gets a 413."""
    web_max_upload: Annotated[int, Field(ge=1024, le=2**31)] = 32 * 1024 * 1024
    """Largest request body in bytes for routes that take files."""

    web_cors_origins: Origins = ()
    """Origins whose pages may call the API from a browser, separated by commas, each exactly as
    browsers send it: `https://app.example.org`. `*` allows all, outside production only."""
    web_rate_limits: bool = True
    """Whether rate limits are enforced. `false` is for load tests; production refuses it, since
    passwords could be guessed without limit."""
    web_static_dir: Path | None = None
    """Folder of the static files that `flask static build` has written. Without it they are served
    as they lie in their folders, uncompressed, and browsers ask each time whether they changed."""

    auth_refresh_grace: Annotated[int, Field(ge=0, le=60)] = 10
    """Seconds in which a refresh token that is sent again gets the same response, as long as the
    token in that is unused: a lost response is no theft. `0`: never."""
    auth_max_sessions: Annotated[int, Field(ge=1, le=10_000)] = 50
    """Sessions per account; a further sign-in ends the least recently used one."""

    web_metrics_dir: Path | None = None
    """Folder in which the workers share their metrics, so that each can serve all of them at
    `/metrics`. Set and emptied by `flask serve`."""

    database_url: DatabaseURL | None = None
    """SQLAlchemy address, such as `mysql+pymysql://user:password@host/name`. Wins over `MYSQL_*`.
    Without either: SQLite at `app.db` in `APP_VAR_DIR`."""
    mysql_host: Host | None = None
    """Host of MySQL or MariaDB; setting it selects MySQL."""
    mysql_port: Port = 3306
    """Port of `MYSQL_HOST`."""
    mysql_user: str = "strongback"
    """User at `MYSQL_HOST`."""
    mysql_password: SecretStr = SecretStr("")
    """Password of `MYSQL_USER`."""
    mysql_database: str = "strongback"
    """Database at `MYSQL_HOST`."""
    mysql_ssl_mode: SSLMode = SSLMode.PREFERRED
    """Encryption of connections to MySQL, by MySQL's names: `disabled`; `preferred`, if the server
    offers it; `required`; `verify_ca`, which also checks the certificate; `verify_identity`, which
    also checks its name. `ssl_mode` in `DATABASE_URL` wins."""
    mysql_ssl_ca: Path | None = None
    """PEM file of trusted authorities for `verify_ca` and `verify_identity`. `ssl_ca` in
    `DATABASE_URL` wins. Default: those of the system."""
    sqlite_synchronous: SQLiteSynchronous = SQLiteSynchronous.NORMAL
    """When SQLite waits for the disk. `normal`: a power failure may lose the last commits, without
    damage to the file; `full`: at every commit, which makes writes several times slower. A crash
    of the process loses nothing in either mode."""
    database_pool_size: Annotated[int, Field(ge=1, le=1000)] = 16
    """Connections per process; with at least `WEB_THREADS`, no thread has to wait."""
    database_timeout: Seconds = 5
    """Seconds to wait for a connection, a lock or SQLite's writer."""
    database_query_timeout: Seconds = 10
    """Time-out of a statement or an unresponsive connection, in seconds."""
    database_read_timeout: Seconds = 2
    """Shorter time-out for statements of requests that only read, in seconds."""
    database_wait: Annotated[float, Field(ge=0, le=3600)] = 0
    """Seconds that a migration waits for a MySQL that is starting."""

    redis_url: RedisURL | None = None
    """Redis for data that processes share, such as the counts of rate limits:
    `redis://:password@host:6379/0`, with TLS `rediss://`. Without it, each process has its own."""
    redis_password: SecretStr = SecretStr("")
    """Password of Redis, if `REDIS_URL` has none. Unlike there, special characters are not
    percent-encoded."""

    cache_size: Annotated[int, Field(ge=1, le=10_000_000)] = 10_000
    """Responses and other values in the memory of each process, besides those in Redis."""
    cache_megabytes: Annotated[int, Field(ge=1, le=1_000_000)] = 64
    """Maximum memory of these values in each process; the least used ones are dropped first."""

    celery_broker_url: RedisURL | None = None
    """Redis that carries tasks to the workers of Celery. Default:
    `REDIS_URL`. Without either: the web server's own processes run the tasks."""
    task_threads: Annotated[int, Field(ge=1, le=64)] = 4
    """Tasks that each web process runs at once where no broker is named."""
    task_visibility_timeout: Annotated[int, Field(ge=1, le=86400)] | None = None
    """Seconds after which the broker gives a task to another worker when nothing is heard of the
    one that had it. Must be above every task's time limit. Default: half a minute above the
    longest."""
    task_stop_timeout: Seconds = 25
    """Seconds that a stopping worker waits for running tasks; those that are left begin again
    elsewhere. Whatever stops it must wait for longer before it kills."""
    task_liveness_file: Path | None = None
    """File that a worker, beat or realtime process touches every two seconds while it can do its
    work, for a health check. Default: none."""

    flower_user: str = "admin"
    """User of Flower's pages."""
    flower_password: SecretStr = SecretStr("")
    """Password of `FLOWER_USER`; Flower does not start without."""

    meili_url: HttpURL | None = None
    """Meilisearch 1.36 or later that serves searches, such as `http://meilisearch:7700`. Without:
    tantivy, in the folder `search` of `APP_VAR_DIR`."""
    meili_master_key: Annotated[SecretStr, AfterValidator(_in_a_header)] = SecretStr("")
    """Master key of `MEILI_URL`. It only makes two keys, to search and to write."""
    meili_prefix: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{0,40}$")] = ""
    """Prefix of the names of indexes, for several applications that share a Meilisearch."""

    ws_port: Port = 8001
    """Port of WebSockets where they cannot share `WEB_PORT`: of Granian, and of a process of their
    own (`python -m app.realtime`)."""
    centrifugo_url: HttpURL | None = None
    """Centrifugo 6 that serves the WebSockets, such as `http://centrifugo:8000`. Without: the
    application does, on `REDIS_URL` in any number of processes."""
    centrifugo_api_key: Annotated[SecretStr, AfterValidator(_in_a_header)] = SecretStr("")
    """Key of the API of `CENTRIFUGO_URL` (`http_api.key` there)."""

    sms_secret_id: str | None = None
    """`SecretId` of Tencent Cloud, which sends the messages if this and all of `SMS_SECRET_KEY`,
    `SMS_APP_ID`, `SMS_SIGN_NAME` and `SMS_TEMPLATE_ID` are set. Without them, messages are printed
    to the console, outside production only."""
    sms_secret_key: SecretStr = SecretStr("")
    """`SecretKey` of `SMS_SECRET_ID`."""
    sms_app_id: str | None = None
    """`SdkAppId` of the application in the SMS console, such as `1400006666`."""
    sms_sign_name: str | None = None
    """Text of an approved signature."""
    sms_template_id: str | None = None
    """Id of an approved template with one variable: the code."""
    sms_region: str = "ap-guangzhou"
    """Region of the API."""
    sms_endpoint: Annotated[HttpURL, BeforeValidator(_with_scheme)] = (
        "https://sms.tencentcloudapi.com"
    )
    """Address of the API. In production, `http://` is accepted for this machine only."""
    sms_prefixes: Prefixes = ("+86",)
    """Prefixes of supported telephone numbers, separated by commas: `+86,+852`."""
    sms_daily_per_number: Annotated[int, Field(ge=1, le=1000)] = 10
    """Messages per number and day (UTC)."""
    sms_daily_per_address: Annotated[int, Field(ge=1, le=1_000_000)] = 100
    """Messages per requesting address and day (UTC); many people may share an address."""
    sms_daily_budget: Annotated[int, Field(ge=1, le=100_000_000)] = 1000
    """Messages per day (UTC) in all, which limits the cost of an attack."""

    mail_url: MailURL | None = None
    """SMTP server that sends mail: `smtp+starttls://user:password@smtp.example.org:587`; `smtps://`
    for TLS from the first byte (port 465), `smtp://` for none (port 25, no password except on this
    machine). User and password are percent-encoded. Without it, messages go to the log."""
    mail_from: Mailbox | None = None
    """Sender of all mail: `no-reply@example.org`, or `My service <no-reply@example.org>`. Needed
    with `MAIL_URL`."""
    mail_ssl_ca: Path | None = None
    """PEM file of authorities that may have signed the mail server's certificate. Default: those of
    the system."""
    mail_timeout: Annotated[float, Field(gt=0, le=50)] = 10
    """Seconds to wait for each response of the mail server."""
    mail_hourly_per_person: Annotated[int, Field(ge=1, le=10_000)] = 20
    """Notifications that an address is mailed in an hour, the rest is dropped; and, counted
    separately, messages of each other sort, such as links for passwords."""

    file_store_url: BucketURL | None = None
    """Bucket of an S3-compatible service for files: `https://BUCKET.HOST`, or `https://HOST/BUCKET`
    where the bucket is in the path. Without: the folder `files` of `APP_VAR_DIR`."""
    file_store_region: str = "us-east-1"
    """Region of `FILE_STORE_URL`, which signatures name."""
    file_store_key_id: str | None = None
    """Id of the access key of `FILE_STORE_URL`; Tencent Cloud calls it `SecretId`."""
    file_store_secret_key: SecretStr = SecretStr("")
    """Secret of `FILE_STORE_KEY_ID`."""
    file_store_timeout: Annotated[float, Field(gt=0, le=60)] = 5
    """Seconds to wait for the store of the files; for a large file, for each part of it."""
    file_cdn_url: HttpURL | None = None
    """Address at which a CDN has the folder `public` of the store, as in
    `https://cdn.example.org/public/…`. Public files are linked there. Without: the API has them."""
    file_accel: bool = False
    """Whether Nginx, as `compose/nginx` configures it, sends large files from the same folder."""
    file_quota: Annotated[int, Field(ge=0, le=2**50)] = 1024 * 1024 * 1024
    """Bytes that the files of an account may take, with the variants of its images."""

    notification_days: Annotated[int, Field(ge=1, le=36_500)] = 90
    """Days for which notifications are kept, read or not."""

    log_level: Annotated[LogLevel, BeforeValidator(_upper)] = LogLevel.INFO
    """Lowest level that is logged."""
    log_format: LogFormat | None = None
    """`console` for people, `json` for machines. Default: `json` in production, else `console`."""
    log_dir: Path | None = None
    """Folder for `access.log` and `error.log` as JSON lines, besides the standard streams."""

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:  # noqa: ANN401  pydantic's signature
        """Refuse a setting whose name another class has, unless that is a setting of a base.

        Such a setting may get another default and further rules; its type and its rules stay.

        Raises:
            ConfigurationError: Two classes have one name and mean different things.
        """
        for name in {*cls.model_fields, *Settings.model_fields}:
            kinds: list[Any] = [each for each in cls.__mro__ if _declares(each, name)]
            for kind, base in pairwise(kinds):
                if not _is_same_setting(name, kind, base):
                    raise ConfigurationError(
                        f"setting {name}: {path_of(base)} has it, and {path_of(kind)} declares"
                        " another; name that differently, or give it the type of the first to"
                        " change its default alone"
                    )
            if len(kinds) > 1 and kinds[0] is cls:
                field = cls.model_fields[name]
                # In between, so that a wider rule replaces no rule of its kind.
                rules = [*kinds[1].model_fields[name].metadata, AfterValidator(lambda value: value)]
                field.metadata = [*rules, *field.metadata]
                cls.model_rebuild(force=True)

    @field_validator("*")
    @classmethod
    def _from_root(cls, value: object) -> object:
        if not isinstance(value, Path):
            return value
        return cls.ROOT / value if value.parts else None

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        missing_extras = filter(None, starmap(missing_extra, self._extras()))
        if missing := [*self._gaps(), *missing_extras]:
            raise ValueError("\n".join(missing))
        return self

    def _gaps(self) -> Iterator[str]:
        """Settings that others need."""
        is_set = {name.upper(): bool(getattr(self, name)) for name in SMS_ACCOUNT}
        if len(set(is_set.values())) > 1:
            missing = ", ".join(name for name, is_there in is_set.items() if not is_there)
            present = next(name for name, is_there in is_set.items() if is_there)
            yield (
                f"{missing}: missing, and {present} is set; messages are sent by Tencent Cloud with"
                " all of them, so set or unset them together"
            )
        if self.mail_url and not self.mail_from:
            yield (
                "MAIL_FROM: missing, and MAIL_URL is set; set it to the sender of all mail, such as"
                " no-reply@example.org"
            )
        if self.centrifugo_url and not self.centrifugo_api_key:
            yield (
                "CENTRIFUGO_API_KEY: missing, and CENTRIFUGO_URL is set; set it to the"
                " http_api.key of Centrifugo's configuration"
            )
        is_granian = self.web_server is WebServer.GRANIAN
        if is_granian and not self.centrifugo_url and self.ws_port == self.web_port:
            yield (
                f"WS_PORT: is {self.ws_port} as WEB_PORT is, and Granian cannot share it with"
                " WebSockets; give each a port of its own"
            )
        if self.file_store_url and not (self.file_store_key_id and self.file_store_secret_key):
            yield (
                "FILE_STORE_KEY_ID, FILE_STORE_SECRET_KEY: missing, and FILE_STORE_URL is set; set"
                " them to an access key that may read and write objects of this bucket alone"
            )

    def _extras(self) -> Iterator[tuple[str, str]]:
        """Extras that are needed, and the variables that need them."""
        drivers = {"mysql+pymysql": "mysql", "mysql+mysqldb": "mysqlclient"}
        if driver := drivers.get(self.database_address.drivername):
            yield driver, "DATABASE_URL" if self.database_url else "MYSQL_HOST"
        for name, extra in _EXTRAS.items():
            if getattr(self, name):
                yield extra, name.upper()
        if self.web_server is WebServer.GRANIAN:
            yield "granian", "WEB_SERVER=granian"

    @model_validator(mode="after")
    def _is_safe_in_production(self) -> Self:
        if self.is_production and (risks := list(self._risks())):
            raise ValueError("; ".join(risks))
        return self

    def _risks(self) -> Iterator[str]:
        """Settings that production refuses, with their remedies."""
        yield from self._secret_problems()
        yield from self._password_problems()
        if self.app_debug:
            yield "APP_DEBUG shows source code to visitors; unset it"
        if ANY_ORIGIN in self.web_cors_origins:
            yield "WEB_CORS_ORIGINS is *, which lets every site in; list the origins"
        if not self.web_rate_limits:
            yield "WEB_RATE_LIMITS is off, so passwords could be guessed; unset it"
        if self.sms_endpoint.startswith("http:") and not _LOOPBACK.match(self.sms_endpoint):
            yield "SMS_ENDPOINT is http://, which shows codes to the network; use https"
        if self.mail_url and not self.app_url:
            yield (
                "APP_URL is missing, and with MAIL_URL the links in mail begin with it; set it to"
                " the public address, such as https://app.example.org"
            )
        if self.is_sqlite and self.web_workers > 1:
            yield (
                f"WEB_WORKERS is {self.web_workers}, and SQLite serves one process in production;"
                " set MYSQL_HOST or DATABASE_URL, or WEB_WORKERS=1"
            )

    def _password_problems(self) -> Iterator[str]:
        if not self.is_sqlite and _is_guessable(self.database_address.password):
            variable = "DATABASE_URL" if self.database_url else "MYSQL_PASSWORD"
            yield f"{variable} holds no password or a well-known one; change it"
        for variable, address, hint in (
            ("REDIS_URL", self.redis_address, " or set REDIS_PASSWORD"),
            ("CELERY_BROKER_URL", self.celery_broker_url, ""),
        ):
            if address and _is_guessable(unquote(urlsplit(address).password or "")):
                yield (
                    f"{variable} holds no password or a well-known one; give Redis one"
                    f" (requirepass) and write redis://:password@host:6379/0{hint}"
                )

    def _secret_problems(self) -> Iterator[str]:
        key = self.meili_master_key.get_secret_value()
        if self.meili_url and (not key or key in WELL_KNOWN_SECRETS):
            yield (
                "MEILI_MASTER_KEY holds no key or a well-known one; start Meilisearch with a key of"
                " at least 16 characters and set it here"
            )
        key = self.centrifugo_api_key.get_secret_value()
        if self.centrifugo_url and _is_guessable(key):
            yield (
                "CENTRIFUGO_API_KEY is missing or well known; set it to the http_api.key of"
                " Centrifugo, which flask realtime centrifugo prints"
            )
        secret, *old = self.secrets
        if _is_weak(secret):
            yield (
                "APP_SECRET_KEY is missing, well known, repetitive or shorter than 32 characters;"
                " set it to"
                ' the output of: python3 -c "import secrets; print(secrets.token_urlsafe(48))"'
            )
        if any(map(_is_weak, old)):
            yield (
                "APP_SECRET_KEYS_OLD has a key that is well known, repetitive or shorter than 32"
                " characters; what it signs would be believed, so remove it"
            )

    def warnings(self) -> Iterator[str]:
        """Settings that are unsafe for most installations in production, with their remedies."""
        if not self.is_production:
            return
        if self.app_url is None:
            yield (
                f"APP_URL is not set, so tokens name {self.address} as their issuer; set it to the"
                " public address, such as https://api.example.org"
            )
        elif self.app_url.startswith("http:"):
            yield (
                "APP_URL is http://, so passwords and tokens may be read on their way; put a proxy"
                " with TLS in front and set it to https://"
            )
        store = self.file_store_url or ""
        if store.startswith("http:") and not _LOOPBACK.match(store):
            yield (
                "FILE_STORE_URL is http://, so files may be read on their way; set it to https://,"
                " or keep it where the network is yours alone"
            )
        if self.web_workers > 1 and self.redis_url is None:
            yield (
                f"WEB_WORKERS is {self.web_workers} without REDIS_URL, so each worker counts by"
                " itself, and that many times as many passwords can be tried; set REDIS_URL, or"
                " WEB_WORKERS=1"
            )

    @property
    def address(self) -> str:
        """Public address of the server."""
        return self.app_url or f"http://{self.web_address}"

    @property
    def web_address(self) -> str:
        """Address on which the server listens, with IPv6 in brackets (RFC 3986, 3.2.2)."""
        host = f"[{self.web_host}]" if ":" in self.web_host else self.web_host
        return f"{host}:{self.web_port}"

    @property
    def secrets(self) -> list[str]:
        """The secret that signs, then earlier ones."""
        old = self.app_secret_keys_old.get_secret_value().split(",")
        return [
            self.app_secret_key.get_secret_value(),
            *(part.strip() for part in old if part.strip()),
        ]

    @property
    def broker_address(self) -> str | None:
        """Broker of the tasks; None if the web server runs them itself."""
        return self.celery_broker_url or self.redis_address

    @property
    def redis_address(self) -> str | None:
        """Effective address of Redis, with its password."""
        password = self.redis_password.get_secret_value()
        return with_password(self.redis_url, password) if self.redis_url else None

    @property
    def database_address(self) -> URL:
        """Effective SQLAlchemy address, with its password."""
        if self.database_url:
            return make_url(self.database_url)
        if self.mysql_host:
            return URL.create(
                "mysql+pymysql",
                self.mysql_user,
                self.mysql_password.get_secret_value(),
                self.mysql_host,
                self.mysql_port,
                self.mysql_database,
            )
        return URL.create("sqlite", database=str(self.app_var_dir / "app.db"))

    @property
    def ssl_mode(self) -> SSLMode:
        """Effective encryption of connections to MySQL."""
        return SSLMode(str(self.database_address.query.get("ssl_mode", self.mysql_ssl_mode)))

    @property
    def ssl_ca(self) -> Path | None:
        """Effective file of trusted authorities."""
        given = self.database_address.query.get("ssl_ca")
        return self.ROOT / str(given) if given else self.mysql_ssl_ca

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is SQLite."""
        return self.database_address.drivername == "sqlite"

    @property
    def is_production(self) -> bool:
        """Whether the environment is production."""
        return self.app_env is Environment.PRODUCTION

    @property
    def logs_as_json(self) -> bool:
        """Whether the standard streams are JSON lines."""
        default = LogFormat.JSON if self.is_production else LogFormat.CONSOLE
        return (self.log_format or default) is LogFormat.JSON


def load_settings(
    kind: type[SettingsT],
    *,
    _env_file: Path | None = ENV_FILE,
    **values: Any,  # noqa: ANN401  each field validates its own
) -> SettingsT:
    """Read the settings from arguments, environment and file.

    Args:
        kind: The application's class.
        _env_file: File for settings that neither arguments nor environment have.
        values: Settings by attribute.

    Raises:
        ConfigurationError: Settings are missing or invalid; one line for each.
    """
    set_elsewhere = {name.lower() for name, value in os.environ.items() if value} | set(values)
    from_file: dict[str, Any] = {
        name: value
        for name, value in read_env_file(_env_file and kind.ROOT / _env_file).items()
        if name in kind.model_fields and name not in set_elsewhere
    }
    try:
        return kind(**from_file | values)
    except ValidationError as error:
        lines = [_explain(dict(detail)) for detail in error.errors(include_url=False)]
        raise ConfigurationError("\n".join(lines)) from None


def _declares(kind: type, name: str) -> bool:
    if name in vars(kind).get("__annotations__", {}) or name in vars(kind):
        return True
    # Pydantic takes a property in the place of a field for its default.
    fields = getattr(kind, "model_fields", {})
    return name in fields and isinstance(fields[name].default, property)


def _is_same_setting(name: str, kind: type, base: type) -> bool:
    mine, inherited = (getattr(each, "model_fields", {}).get(name) for each in (kind, base))
    return (
        issubclass(kind, base)
        and mine is not None
        and inherited is not None
        and not isinstance(mine.default, property)
        and mine.annotation == inherited.annotation
    )


def _explain(detail: dict[str, Any]) -> str:
    message = str(detail["msg"]).removeprefix("Value error, ")
    variable = "_".join(str(part) for part in detail["loc"]).upper()
    return f"{variable}: {message}" if variable else message
