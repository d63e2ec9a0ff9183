"""Settings: the one reader of the environment.

Precedence is argument, process environment, `.env`, default. Every other module is handed a
`Settings` object and reads nothing by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import quote, urlsplit

from pydantic import (
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.core.exceptions import ConfigurationError

ROOT = Path(__file__).resolve().parents[2]
"""The folder of the checkout: relative paths in settings start here."""

DEVELOPMENT_SECRET = "development-only-secret-key-change-me"  # noqa: S105  refused in production
MIN_SECRET_LENGTH = 32
ANY_ORIGIN = "*"
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
WELL_KNOWN_SECRETS = frozenset(
    {DEVELOPMENT_SECRET, "changeme", "secret", "password", "root", "admin"}
)


class Environment(StrEnum):
    """Where the application runs."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"
    TEST = "test"


class LogFormat(StrEnum):
    """How a log event is written."""

    CONSOLE = "console"
    JSON = "json"


class LogLevel(StrEnum):
    """The least severe event that is written."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class WebServer(StrEnum):
    """The WSGI server that `flask serve` starts."""

    GUNICORN = "gunicorn"
    GRANIAN = "granian"


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _from_root(value: object) -> object:
    return ROOT / value if isinstance(value, str | Path) and str(value) else None


def _split(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _is_weak(secret: str) -> bool:
    return secret in WELL_KNOWN_SECRETS or len(secret) < MIN_SECRET_LENGTH


Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=3600)]
RootPath = Annotated[Path, BeforeValidator(_from_root)]


class Settings(BaseSettings):
    """Every setting, typed, validated once and frozen.

    The variable is the attribute's name in capitals. An empty variable counts as not set.
    """

    model_config = SettingsConfigDict(
        env_file=ROOT / ".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
    )

    app_env: Environment = Environment.DEVELOPMENT
    """Where the application runs; `production` refuses unsafe settings at start."""
    app_debug: bool = False
    """Show tracebacks in the browser. Refused in production."""
    app_secret_key: SecretStr = SecretStr(DEVELOPMENT_SECRET)
    """Key for everything that the application signs: at least 32 characters, secret, the same on
    every machine. Has a default outside production only."""
    app_secret_keys_old: SecretStr = SecretStr("")
    """Earlier values of `APP_SECRET_KEY`, separated by commas: what they signed stays good until it
    expires. Remove them after an hour."""
    app_url: Annotated[str, Field(pattern=r"^https?://[^\s/?#]+$")] | None = None
    """Public address of the server, such as `https://api.example.org`: what tokens name as their
    issuer. Default: `http://WEB_HOST:WEB_PORT`."""
    app_var_dir: RootPath = ROOT / "var"
    """Folder for everything that the embedded mode keeps: database, demo accounts, metrics."""

    web_server: WebServer = WebServer.GUNICORN
    """WSGI server: `gunicorn`, or `granian` (Rust; less CPU per request)."""
    web_host: str = "127.0.0.1"
    """Address to listen on."""
    web_port: Port = 8000
    """Port to listen on."""
    web_workers: Annotated[int, Field(ge=1, le=256)] = 1
    """Worker processes. SQLite allows one in production."""
    web_threads: Annotated[int, Field(ge=1, le=1024)] = 16
    """Threads of each worker; a request that waits for the database holds one."""
    web_timeout: Seconds = 30
    """Seconds that a stopping worker waits for requests in flight, and after which one that shows
    no sign of life is replaced. A single request is limited by the database and by Nginx."""
    web_proxies: Annotated[int, Field(ge=0, le=10)] = 0
    """Trusted reverse proxies in front. `X-Forwarded-*` is believed from that many and no more:
    a number that is too high lets a client forge its address."""
    web_max_body: Annotated[int, Field(ge=1024, le=2**31)] = 1024 * 1024
    """Largest request body in bytes; a larger one is answered with 413."""

    web_cors_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = ()
    """Origins whose pages may call the API from a browser, separated by commas, each exactly as
    browsers send it: `https://app.example.org`. `*` allows all, outside production only."""
    web_rate_limits: bool = True
    """Whether routes refuse callers who exceed their rate limit. Off for load tests; refused in
    production, where passwords could then be guessed without end."""

    prometheus_multiproc_dir: RootPath | None = None
    """Folder where workers keep their metrics so that each can report all. `flask serve` sets it;
    prometheus-client needs it in the environment before Python starts."""

    database_url: str | None = None
    """SQLAlchemy address, such as `mysql+pymysql://user:password@host/name`. Wins over `MYSQL_*`.
    Without either: SQLite at `app.db` in `APP_VAR_DIR`."""
    mysql_host: str | None = None
    """MySQL or MariaDB host; setting it selects MySQL."""
    mysql_port: Port = 3306
    """Port of `MYSQL_HOST`."""
    mysql_user: str = "groundwork"
    """User at `MYSQL_HOST`."""
    mysql_password: SecretStr = SecretStr("")
    """Password of `MYSQL_USER`."""
    mysql_database: str = "groundwork"
    """Database at `MYSQL_HOST`."""
    database_pool_size: Annotated[int, Field(ge=1, le=1000)] = 16
    """Connections that each process may hold; at least `WEB_THREADS` lets no thread wait."""
    database_timeout: Seconds = 5
    """Seconds to wait for a connection, a lock or the SQLite writer before giving up."""
    database_query_timeout: Seconds = 20
    """Seconds after which a statement or a silent connection is given up."""

    redis_url: str | None = None
    """Redis for what processes share, such as the counts of rate limits:
    `redis://:password@host:6379/0`, with TLS `rediss://`. Without it: in each process."""

    log_level: Annotated[LogLevel, BeforeValidator(_upper)] = LogLevel.INFO
    """Least severe event that is written."""
    log_format: LogFormat | None = None
    """`console` for people, `json` for machines. Default: `json` in production, else `console`."""
    log_dir: RootPath | None = None
    """Folder for `access.log` and `error.log` as JSON lines, beside the standard streams."""

    @field_validator("database_url")
    @classmethod
    def _is_supported_database(cls, value: str | None) -> str | None:
        if value and not value.startswith(("sqlite:", "mysql+pymysql:", "mysql+mysqldb:")):
            scheme = urlsplit(value).scheme or "nothing"
            msg = f"starts with {scheme}:, not with sqlite:, mysql+pymysql: or mysql+mysqldb:"
            raise ValueError(msg)
        return value

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, value: str | None) -> str | None:
        if value and not value.startswith(("redis://", "rediss://")):
            raise ValueError("starts with neither redis:// nor rediss://")
        return value

    @field_validator("web_cors_origins")
    @classmethod
    def _are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if origin != ANY_ORIGIN and not _ORIGIN.fullmatch(origin):
                msg = f"{origin!r} is not an origin as browsers send it: scheme://host or"
                raise ValueError(f"{msg} scheme://host:port, in lower case, without a path")
        return value

    @model_validator(mode="after")
    def _is_safe_in_production(self) -> Self:
        if self.app_env is not Environment.PRODUCTION:
            return self
        problems = list(self._secret_problems())
        if self.app_debug:
            problems.append("APP_DEBUG shows source code to visitors; unset it")
        if ANY_ORIGIN in self.web_cors_origins:
            problems.append("WEB_CORS_ORIGINS is *, which lets every site in; list the origins")
        if not self.web_rate_limits:
            problems.append("WEB_RATE_LIMITS is off, so passwords could be guessed; unset it")
        if self.is_sqlite and self.web_workers > 1:
            problems.append(
                f"WEB_WORKERS is {self.web_workers}, and SQLite serves one process in production;"
                " set MYSQL_HOST or DATABASE_URL, or WEB_WORKERS=1"
            )
        if not self.is_sqlite:
            password = urlsplit(self.database_address).password
            variable = "DATABASE_URL" if self.database_url else "MYSQL_PASSWORD"
            if not password or password in WELL_KNOWN_SECRETS:
                problems.append(f"{variable} holds no password or a well-known one; change it")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _secret_problems(self) -> Iterator[str]:
        secret, *old = self.secrets
        if _is_weak(secret):
            yield (
                "APP_SECRET_KEY is missing, well known or shorter than 32 characters; set it to"
                ' the output of: python3 -c "import secrets; print(secrets.token_urlsafe(48))"'
            )
        if any(map(_is_weak, old)):
            yield (
                "APP_SECRET_KEYS_OLD has a key that is well known or shorter than 32 characters;"
                " what it signs would be believed, so remove it"
            )

    @property
    def address(self) -> str:
        """Where clients reach the server."""
        return self.app_url or f"http://{self.web_host}:{self.web_port}"

    @property
    def secrets(self) -> list[str]:
        """The secret that signs, then the earlier ones."""
        old = self.app_secret_keys_old.get_secret_value().split(",")
        return [
            self.app_secret_key.get_secret_value(),
            *(part.strip() for part in old if part.strip()),
        ]

    @property
    def database_address(self) -> str:
        """The SQLAlchemy address after all precedence, password included."""
        if self.database_url:
            return self.database_url
        if self.mysql_host:
            user, password = (
                quote(part, safe="")
                for part in (self.mysql_user, self.mysql_password.get_secret_value())
            )
            host = f"[{self.mysql_host}]" if ":" in self.mysql_host else self.mysql_host
            return (
                f"mysql+pymysql://{user}:{password}@{host}:{self.mysql_port}/{self.mysql_database}"
            )
        return f"sqlite:///{self.app_var_dir / 'app.db'}"

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is a file of this machine."""
        return self.database_address.startswith("sqlite:")

    @property
    def is_production(self) -> bool:
        """Whether unsafe settings are refused and nothing internal is shown."""
        return self.app_env is Environment.PRODUCTION

    @property
    def logs_as_json(self) -> bool:
        """Whether the standard streams carry JSON lines."""
        return (
            self.log_format or (LogFormat.JSON if self.is_production else None)
        ) is LogFormat.JSON


def load_settings(**values: Any) -> Settings:  # noqa: ANN401  each field validates its own
    """Read the settings, arguments first, or say in one message which variable is wrong.

    Raises:
        ConfigurationError: One line for each variable that is missing or wrong.
    """
    try:
        return Settings(**values)
    except ValidationError as error:
        lines = [_explain(dict(detail)) for detail in error.errors(include_url=False)]
        raise ConfigurationError("\n".join(lines)) from None


def _explain(detail: dict[str, Any]) -> str:
    message = str(detail["msg"]).removeprefix("Value error, ")
    variable = "_".join(str(part) for part in detail["loc"]).upper()
    return f"{variable}: {message}" if variable else message
