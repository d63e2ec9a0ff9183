"""Addresses of other services, checked once, by the rules of the client that connects.

Each check returns the address as it is, or raises `ValueError` with the fault and the remedy and
without the address itself, which may hold a password.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from email.utils import parseaddr
from enum import StrEnum
from typing import Annotated
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from pydantic import AfterValidator
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from strongback.text import first_control, first_unseen

DATABASES = ("sqlite", "mysql+pymysql", "mysql+mysqldb")
MYSQL_OPTIONS = frozenset({"charset", "ssl_ca", "ssl_mode", "unix_socket"})
REDIS_OPTIONS = frozenset(
    {"ssl_ca_certs", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_keyfile"}
)
MAIL_OPTIONS = frozenset({"starttls"})
MAX_MAIL_ADDRESS = 254
"""Characters (RFC 5321, 4.5.3.1.3, without the brackets)."""
NO_MAILBOX = "is no mail address; write no-reply@example.org or My service <no-reply@example.org>"
CHARSET = "utf8mb4"
ENCODE = (
    "percent-encode special characters of user and password, such as # as %23, / as %2F, @ as %40,"
    " [ as %5B and % as %25"
)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{0,30}(?=://)")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_NO_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_NAME = re.compile(r"[\w-]+(\.[\w-]+)*\.?")
_INVISIBLE = re.compile(r"[\s\x00-\x1f\x7f]")
# No quoted names, which nobody has, and letters of every script (RFC 6531).
_MAIL = re.compile(r"[^\s<>()\[\],;:\\\"@]{1,64}@[^\s<>()\[\],;:\\\"@]{1,255}")


class SSLMode(StrEnum):
    """Encryption of a connection to MySQL, in MySQL's own words."""

    DISABLED = "disabled"
    PREFERRED = "preferred"
    REQUIRED = "required"
    VERIFY_CA = "verify_ca"
    VERIFY_IDENTITY = "verify_identity"


def check_host(host: str) -> str:
    """Accept a name, an IPv4 or an IPv6 address."""
    try:
        if not _NAME.fullmatch(host):
            ipaddress.IPv6Address(host)
    except ValueError:
        raise ValueError(
            "names no host: write a name, such as db.example.org, or an address, without a port"
        ) from None
    return host


def check_database_url(value: str) -> str:
    """Accept an address of SQLite, MySQL or MariaDB, as SQLAlchemy reads it."""
    _check_scheme(value, DATABASES)
    _check_escapes(value)
    try:
        url = make_url(value)
    except (ArgumentError, ValueError):
        raise ValueError(
            f"cannot be read as scheme://user:password@host:port/name; the port is a number, and"
            f" {ENCODE}"
        ) from None
    if url.drivername == "sqlite":
        if url.host:
            raise ValueError("write the file behind three slashes, such as sqlite:///var/app.db")
    else:
        _check_mysql(url)
    return value


def _check_mysql(url: URL) -> None:
    _check_options(url.query, MYSQL_OPTIONS)
    if "unix_socket" not in url.query:
        _check_place(url.host, url.port)
    if not url.database or re.search(r"[/#]", url.database):
        raise ValueError(
            "names no database, or has more behind it; write scheme://user:password@host:port/name"
            f" and {ENCODE}"
        )
    if url.query.get("charset", CHARSET) != CHARSET:
        raise ValueError(f"charset is not {CHARSET}, the only one that is used; leave it out")
    if url.query.get("ssl_mode", SSLMode.PREFERRED) not in set(SSLMode):
        raise ValueError(f"ssl_mode is none of {', '.join(SSLMode)}")


def check_redis_url(value: str) -> str:
    """Accept an address of Redis."""
    _check_scheme(value, ("redis", "rediss"))
    parts = _split(value)
    _check_options(dict(parse_qsl(parts.query, keep_blank_values=True)), REDIS_OPTIONS)
    if not re.fullmatch(r"/?|/[0-9]{1,4}", parts.path) or parts.fragment:
        raise ValueError(
            "the part behind the host is the number of a database, such as redis://host:6379/0,"
            f" and nothing else; {ENCODE}"
        )
    return value


def with_password(url: str, password: str) -> str:
    """Put a password into an address that has none."""
    parts = urlsplit(url)
    if not password or parts.password:
        return url
    host = parts.netloc.rpartition("@")[2]
    login = f"{parts.username or ''}:{quote(password, safe='')}"
    return parts._replace(netloc=f"{login}@{host}").geturl()


def check_mail_url(value: str) -> str:
    """Accept an address of an SMTP server, whose password nobody on the way can read."""
    _check_scheme(value, ("smtp", "smtps", "smtp+starttls"))
    parts = _split(value)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    _check_options(options, MAIL_OPTIONS)
    has_more = parts.path not in {"", "/"} or parts.fragment
    if has_more or options.get("starttls", "") not in {"", "1"}:
        raise ValueError(f"has more than host, port and ?starttls behind the scheme; {ENCODE}")
    user, password = (unquote(each or "") for each in (parts.username, parts.password))
    if bool(user) != bool(password) or not (user + password).isascii():
        raise ValueError(
            "has a user or a password that SMTP cannot send: give both, in ASCII, or none of them"
        )
    if user and not is_encrypted(parts) and not is_loopback(parts.hostname or ""):
        raise ValueError(
            "sends its password through the network for everybody to read; write smtps:// or"
            " smtp+starttls://"
        )
    return value


def is_encrypted(parts: SplitResult) -> bool:
    """Whether mail goes to this server by TLS, from the beginning or by STARTTLS."""
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    return parts.scheme != "smtp" or "starttls" in options


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def check_mailbox(value: str) -> str:
    """Accept one mail address, with or without a name before it (RFC 5322, 3.4)."""
    name, address = parseaddr(value)
    # A sender in another script would ask every server for more than most can do (RFC 6531).
    is_whole = not name or value.endswith(f"<{address}>")
    if first_control(value) or not is_whole or not address.isascii():
        raise ValueError(NO_MAILBOX)
    check_mail_address(address if name else value)
    return value


def check_mail_address(value: str) -> str:
    """Accept one mail address and nothing else."""
    try:
        value.rpartition("@")[2].encode("idna")
    except UnicodeError:
        raise ValueError(NO_MAILBOX) from None
    if len(value) > MAX_MAIL_ADDRESS or not _MAIL.fullmatch(value) or first_unseen(value):
        raise ValueError(NO_MAILBOX)
    return value


def check_http_url(value: str) -> str:
    """Accept the address of a web server, with nothing behind host and port."""
    _check_scheme(value, ("http", "https"))
    parts = _split(value)
    if parts.path or parts.query or parts.fragment or "@" in parts.netloc or value[-1] in "?#":
        raise ValueError("has more than scheme, host and port; write https://host or http://host:1")
    return value


def check_bucket_url(value: str) -> str:
    """Accept the address of a bucket: in the host, or as the only part of the path."""
    server, _, bucket = value.rstrip("/").partition("://")[2].partition("/")
    if bucket and not _BUCKET.fullmatch(bucket):
        raise ValueError(
            "has more than the name of a bucket behind the host; write https://bucket.host or"
            " https://host/bucket"
        )
    check_http_url(f"{value.partition('://')[0]}://{server}" if "://" in value else value)
    return value


def _split(value: str) -> SplitResult:
    if _INVISIBLE.search(value):
        raise ValueError(f"has a blank or a control character; {ENCODE}")
    _check_escapes(value)
    try:
        parts = urlsplit(value)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(
            f"cannot be read as scheme://host:port; the port is a number, and {ENCODE}"
        ) from None
    if parts.netloc.endswith(":"):
        port = 0
    _check_place(host, port)
    return parts


def _check_scheme(value: str, schemes: tuple[str, ...]) -> None:
    found = _SCHEME.match(value)
    if found is None or found[0] not in schemes:
        wanted = ", ".join(f"{scheme}://" for scheme in schemes)
        begin = f"{found[0]}://" if found else "no scheme"
        raise ValueError(f"starts with {begin}; write one of {wanted}")


def _check_escapes(value: str) -> None:
    if _NO_ESCAPE.search(value):
        raise ValueError("has a % that starts no escape such as %2F; write %25 for % itself")


def _check_place(host: str | None, port: int | None) -> None:
    if not host:
        raise ValueError(f"names no host; if it does, {ENCODE}")
    try:
        check_host(host)
    except ValueError:
        raise ValueError(f"has no host that can be read; {ENCODE}") from None
    if port is not None and not 0 < port < 2**16:
        raise ValueError("has a port outside 1 to 65535")


def _check_options(options: Mapping[str, object], known: frozenset[str]) -> None:
    unknown = sorted(set(options) - known)
    repeated = [name for name, given in options.items() if isinstance(given, tuple)]
    if unknown or repeated:
        shown = ", ".join(name[:30] for name in unknown or repeated)
        raise ValueError(
            f"has an option that is unknown or given twice: {shown}; known are"
            f" {', '.join(sorted(known))}"
        )


DatabaseURL = Annotated[str, AfterValidator(check_database_url)]
RedisURL = Annotated[str, AfterValidator(check_redis_url)]
MailURL = Annotated[str, AfterValidator(check_mail_url)]
Mailbox = Annotated[str, AfterValidator(check_mailbox)]
HttpURL = Annotated[str, AfterValidator(check_http_url)]
BucketURL = Annotated[str, AfterValidator(check_bucket_url)]
Host = Annotated[str, AfterValidator(check_host)]
