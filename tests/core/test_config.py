from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import make_url

from app.core.config import (
    DEVELOPMENT_SECRET,
    ROOT,
    WELL_KNOWN_SECRETS,
    Environment,
    LogLevel,
    Settings,
    load_settings,
)
from app.core.exceptions import ConfigurationError

EXAMPLE = ROOT / ".env.example"
COMPOSE = ROOT / "compose.yaml"
VARIABLE = r"^#?([A-Z][A-Z0-9_]*)="
SECRET = "x" * 32
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
        assert settings.database_address == f"sqlite:///{tmp_path}/app.db"
        assert settings.is_sqlite

    def test_host_selects_mysql(self):
        settings = load(**MYSQL)
        assert not settings.is_sqlite
        url = make_url(settings.database_address)
        assert (url.drivername, url.host, url.port) == ("mysql+pymysql", "db", 3306)
        assert (url.username, url.database) == ("groundwork", "groundwork")

    def test_url_wins_over_host(self):
        url = "sqlite:////tmp/other.db"
        assert load(database_url=url, **MYSQL).database_address == url

    @pytest.mark.parametrize(
        "password", ["p@ss", "p:/?#[]", "100%", "%41", "a b+c", "密码", "'\"\\", "@", "a&b=c"]
    )
    def test_password_is_quoted(self, password):
        settings = load(mysql_host="db", mysql_user="a@b", mysql_password=password)
        url = make_url(settings.database_address)
        assert (url.username, url.password, url.host) == ("a@b", password, "db")

    def test_ipv6_host_is_bracketed(self):
        assert make_url(load(mysql_host="::1").database_address).host == "::1"


class TestProduction:
    def test_safe_settings_are_taken(self):
        assert load(**SAFE).is_production

    @pytest.mark.parametrize(
        "secret", [None, "", "short", DEVELOPMENT_SECRET, *sorted(WELL_KNOWN_SECRETS)]
    )
    def test_missing_or_known_secret_is_refused(self, secret):
        given = {} if secret is None else {"app_secret_key": secret}
        with pytest.raises(ConfigurationError, match="APP_SECRET_KEY"):
            load(app_env="production", **given)

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
