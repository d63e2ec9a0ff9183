"""The settings of files, the check and what `flask doctor` says."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from strongback.config import Environment, Settings, load_settings
from strongback.exceptions import ConfigurationError
from strongback.file.object_store import split_address

KEY = {"file_store_key_id": "id", "file_store_secret_key": "secret"}


def load(**values: Any) -> Settings:
    return load_settings(Settings, _env_file=None, **values)


@pytest.mark.parametrize(
    "url, parts",
    [
        (
            "https://files-125.cos.ap-guangzhou.myqcloud.com",
            ("https://files-125.cos.ap-guangzhou.myqcloud.com", "files-125", True),
        ),
        ("http://minio:9000/files/", ("http://minio:9000", "files", False)),
    ],
)
def test_address_has_the_bucket_in_its_host_or_in_its_path(url, parts):
    assert split_address(load(file_store_url=url, **KEY).file_store_url or "") == parts


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket",
        "https://host/bucket/folder",
        "https://host/Bucket",
        "https://key:secret@host/bucket",
        "https://host/bucket?region=x",
        "host/bucket",
        "https:///bucket",
    ],
)
def test_address_that_is_none_of_a_bucket_is_refused(url):
    with pytest.raises(ConfigurationError, match="FILE_STORE_URL: "):
        load(file_store_url=url, **KEY)


@pytest.mark.parametrize("missing", KEY)
def test_a_bucket_without_its_key_is_refused(missing):
    rest = {name: value for name, value in KEY.items() if name != missing}
    with pytest.raises(ConfigurationError, match="FILE_STORE_SECRET_KEY: missing"):
        load(file_store_url="https://bucket.example.org", **rest)


@pytest.mark.parametrize(
    "url, is_warned",
    [("http://minio:9000/files", True), ("https://b.example.org", False), (None, False)],
)
def test_files_that_may_be_read_on_their_way_are_warned_of(url, is_warned):
    safe = {"app_env": Environment.PRODUCTION, "app_secret_key": secrets.token_urlsafe(48)}
    settings = load(file_store_url=url, **KEY, **safe)
    assert any("FILE_STORE_URL" in warning for warning in settings.warnings()) == is_warned


def test_readyz_reports_the_store_and_serves_without_it(cabinet):
    (cabinet.app.settings.app_var_dir / "files").write_text("no folder")
    readiness = cabinet.client.get("/readyz").json
    assert readiness["services"]["files"]["status"] == "unavailable"


def test_doctor_says_what_to_look_at(cabinet):
    folder = cabinet.app.settings.app_var_dir / "files"
    folder.write_text("no folder")
    output = cabinet.app.test_cli_runner().invoke(args=["doctor"]).output
    assert "The store of the files" in output
    assert f"See that {folder} can be written" in output
