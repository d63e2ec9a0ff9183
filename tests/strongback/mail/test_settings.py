"""The settings of mail: which addresses are taken, and what is refused before a message is."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from strongback.config import Environment, Settings, load_settings
from strongback.exceptions import ConfigurationError
from strongback.log.mask import mask_text

FROM = "no-reply@example.org"
SAFE = {"app_env": Environment.PRODUCTION, "app_secret_key": secrets.token_urlsafe(48)}


def load(**values: Any) -> Settings:
    return load_settings(Settings, _env_file=None, **{"mail_from": FROM} | values)


@pytest.mark.parametrize(
    "url",
    [
        "smtp://mail.example.org",
        "smtp://127.0.0.1:1025",
        "smtp://user:password@localhost:1025",
        "smtp://user:password@[::1]:25",
        "smtps://user:p%40ss%2Fw%3Ard@mail.example.org:465",
        "smtp+starttls://user:password@mail.example.org:587",
        "smtp://user:password@mail.example.org:587?starttls",
        "smtp://user:password@mail.example.org:587/?starttls=1",
    ],
)
def test_address_that_can_be_used(url):
    assert load(mail_url=url).mail_url == url


@pytest.mark.parametrize(
    "url, hint",
    [
        ("http://mail.example.org", "smtp://"),
        ("mail.example.org:25", "smtp://"),
        ("smtp://", "names no host"),
        ("smtp://mail.example.org:99999", "port"),
        ("smtp://user:password@mail.example.org", "smtp\\+starttls://"),
        ("smtp://user:password@192.0.2.1:25", "for everybody to read"),
        ("smtps://user@mail.example.org", "user or a password"),
        ("smtps://us%C3%A9r:password@mail.example.org", "ASCII"),
        ("smtps://user:pass@word@mail.example.org/path", "percent-encode"),
        ("smtps://user:pass%word@mail.example.org", "%25"),
        ("smtp://mail.example.org?tls=1", "starttls"),
        ("smtp://mail.example.org?starttls=perhaps", "starttls"),
        ("smtp://mail.example.org\r\n", "control"),
    ],
)
def test_address_that_cannot_is_refused_without_its_password(url, hint):
    with pytest.raises(ConfigurationError, match=hint) as caught:
        load(mail_url=url)
    assert str(caught.value).startswith("MAIL_URL: ")
    assert "pass@word" not in str(caught.value)


@pytest.mark.parametrize("sender", [FROM, f"My service <{FROM}>", f"服务 <{FROM}>"])
def test_sender_is_an_address_with_or_without_a_name(sender):
    assert load(mail_from=sender).mail_from == sender


@pytest.mark.parametrize(
    "sender", ["me", f"{FROM}, eve@example.org", f"A\r\nBcc: e@x.org <{FROM}>"]
)
def test_other_sender_is_refused(sender):
    with pytest.raises(ConfigurationError, match="MAIL_FROM"):
        load(mail_from=sender)


def test_server_needs_a_sender():
    with pytest.raises(ConfigurationError, match="MAIL_FROM: missing"):
        load(mail_url="smtp://mail.example.org", mail_from=None)


def test_production_needs_the_address_that_links_begin_with():
    with pytest.raises(ConfigurationError, match="APP_URL is missing"):
        load(mail_url="smtp://mail.example.org", **SAFE)
    url = "https://app.example.org"
    assert load(mail_url="smtp://mail.example.org", app_url=url, **SAFE).address == url


def test_log_does_not_have_the_password():
    assert "secret" not in mask_text("smtps://user:secret@mail.example.org failed")
