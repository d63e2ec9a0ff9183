"""What an installation's MySQL may be like: encryption, modes, accounts, names."""

from __future__ import annotations

import os
import subprocess
import unicodedata
from collections.abc import Iterator

import pytest
from click.testing import Result
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.core.config import Settings
from app.main import create_app
from strongback.cli.backup import CLIENT_TOOLS, DUMP_TOOLS, BackupError, find_tool, login_options
from strongback.cli.backup import run as run_tool
from strongback.database import Database
from strongback.exceptions import ConfigurationError
from strongback.testing.mariadb import MariaDB, OwnMariaDB, run_mariadb
from tests.support.certificate import Certificate, make_certificate

NASTY = "p%40 $#:/@?\"'&+=%(x)s[]"
"""What an address, a format and a shell would read otherwise."""
USER = f"{NASTY}{os.getpid()}"
"""An account of this process, whose server others use too."""


def run(settings: Settings, *arguments: str) -> Result:
    app = create_app(settings)
    try:
        with app.app_context():  # as the `flask` command has it
            return app.test_cli_runner().invoke(args=arguments)
    finally:
        app.close()


def on_host(settings: Settings, server: MariaDB, **changes: object) -> Settings:
    """Settings that name the server by MYSQL_* alone."""
    address = server.address
    values = {
        "database_url": None,
        "mysql_host": "127.0.0.1",
        "mysql_port": address.port,
        "mysql_user": address.username,
        "mysql_password": address.password or "",
        "mysql_database": address.database,
    }
    return Settings(_env_file=None, **settings.model_dump() | values | changes)


@pytest.fixture
def emptied(mariadb_server: MariaDB) -> MariaDB:
    """The server, with an empty database."""
    name = mariadb_server.address.database
    mariadb_server.execute(f"DROP DATABASE IF EXISTS {name}")
    mariadb_server.create_database()
    return mariadb_server


class TestAccount:
    @pytest.mark.parametrize(
        "password",
        [NASTY, "pé密🙂", unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é")],
    )
    def test_any_user_and_password_sign_in_through_migration_and_web(
        self, settings, emptied, password
    ):
        with emptied.connect() as connection, connection.cursor() as cursor:
            cursor.execute("CREATE USER %s@'%%' IDENTIFIED BY %s", (USER, password))
            cursor.execute(f"GRANT ALL ON {emptied.address.database}.* TO %s@'%%'", (USER,))
        try:
            chosen = on_host(settings, emptied, mysql_user=USER, mysql_password=password)
            migrated = run(chosen, "db", "upgrade")
            assert migrated.exit_code == 0, migrated.output
            app = create_app(chosen)
            assert app.test_client().get("/readyz").status_code == 200
            app.close()
        finally:
            with emptied.connect() as connection, connection.cursor() as cursor:
                cursor.execute("DROP USER %s@'%%'", (USER,))

    def test_one_that_may_not_create_tables_is_refused_in_one_line(self, settings, emptied):
        emptied.execute("CREATE USER reader@'%' IDENTIFIED BY 'right'")
        emptied.execute(f"GRANT SELECT ON {emptied.address.database}.* TO reader@'%'")
        try:
            chosen = on_host(settings, emptied, mysql_user="reader", mysql_password="right")
            result = run(chosen, "db", "upgrade")
        finally:
            emptied.execute("DROP USER reader@'%'")
        assert result.exit_code == 1
        assert len(result.output.strip().splitlines()) == 1
        assert "GRANT ALL ON MYSQL_DATABASE" in result.output


def test_a_database_made_as_latin1_keeps_every_text(settings, emptied):
    emptied.execute(f"ALTER DATABASE {emptied.address.database} CHARACTER SET latin1")
    migrated = run(on_host(settings, emptied), "db", "upgrade")
    assert migrated.exit_code == 0, migrated.output
    database = Database(on_host(settings, emptied))
    with database.engine.connect() as connection:
        collations = connection.scalars(
            text(
                "SELECT DISTINCT table_collation FROM information_schema.tables WHERE"
                " table_schema = DATABASE() AND table_name <> 'sb_version'"
            )
        ).all()
    database.close()
    assert collations == ["utf8mb4_bin"]


@pytest.mark.parametrize("mode", ["ANSI", "ANSI_QUOTES,NO_BACKSLASH_ESCAPES", ""])
def test_the_servers_own_sql_mode_does_not_matter(settings, emptied, mode):
    (before,) = emptied.execute("SELECT @@GLOBAL.sql_mode")[0]
    emptied.execute(f"SET GLOBAL sql_mode = '{mode}'")
    try:
        result = run(on_host(settings, emptied), "db", "upgrade")
    finally:
        emptied.execute(f"SET GLOBAL sql_mode = '{before}'")
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    "arguments", [["db", "upgrade"], ["db", "current"], ["demo"], ["serve", "--demo"], ["backup"]]
)
def test_a_database_that_cannot_be_reached_ends_every_command_in_one_line(settings, arguments):
    chosen = settings.model_copy(update={"database_url": "mysql+pymysql://u:p@127.0.0.1:1/d"})
    result = run(chosen, *arguments)
    assert result.exit_code == 1
    assert len(result.output.strip().splitlines()) == 1
    assert "MYSQL_HOST, MYSQL_PORT or DATABASE_URL" in result.output


# Encryption


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"), "localhost")


@pytest.fixture(scope="module")
def secure_mariadb(
    starts_mariadb: None, certificate: Certificate, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OwnMariaDB]:
    """A server that takes no connection without TLS."""
    options = (
        f"--ssl-ca={certificate.authority}",
        f"--ssl-cert={certificate.certificate}",
        f"--ssl-key={certificate.key}",
        "--require-secure-transport=ON",
    )
    with run_mariadb(tmp_path_factory.mktemp("secure"), *options) as server:
        server.execute("CREATE USER app@'%' IDENTIFIED BY 'right'")
        server.execute("GRANT ALL ON *.* TO app@'%'")
        yield server


def encrypted(settings: Settings, server: MariaDB, mode: str, **changes: object) -> Settings:
    login = {"mysql_user": "app", "mysql_password": "right", "mysql_ssl_mode": mode}
    return on_host(settings, server, **login | changes)


def cipher(settings: Settings) -> str:
    database = Database(settings)
    try:
        with database.engine.connect() as connection:
            _, name = connection.execute(text("SHOW STATUS LIKE 'Ssl_cipher'")).one()
            return str(name)
    finally:
        database.close()


class TestEncryption:
    @pytest.mark.parametrize(
        "mode, host",
        [
            ("preferred", "127.0.0.1"),
            ("required", "127.0.0.1"),
            ("verify_ca", "127.0.0.1"),
            ("verify_identity", "localhost"),
        ],
    )
    def test_every_mode_but_disabled_connects(
        self, settings, secure_mariadb, certificate, mode, host
    ):
        changes = {"mysql_ssl_ca": certificate.authority, "mysql_host": host}
        assert cipher(encrypted(settings, secure_mariadb, mode, **changes))

    def test_disabled_is_refused_by_such_a_server(self, settings, secure_mariadb):
        with pytest.raises(DBAPIError):
            cipher(encrypted(settings, secure_mariadb, "disabled"))

    @pytest.mark.parametrize("mode", ["verify_ca", "verify_identity"])
    def test_another_authority_is_refused(self, settings, secure_mariadb, mode, tmp_path):
        other = make_certificate(tmp_path / "other", "localhost").authority
        changes = {"mysql_ssl_ca": other, "mysql_host": "localhost"}
        with pytest.raises(DBAPIError, match="certificate verify failed"):
            cipher(encrypted(settings, secure_mariadb, mode, **changes))

    def test_another_name_is_refused_by_verify_identity_alone(
        self, settings, secure_mariadb, certificate
    ):
        changes = {"mysql_ssl_ca": certificate.authority, "mysql_host": "127.0.0.1"}
        with pytest.raises(DBAPIError, match="certificate verify failed"):
            cipher(encrypted(settings, secure_mariadb, "verify_identity", **changes))

    @pytest.mark.parametrize("mode", ["required", "verify_ca", "verify_identity"])
    def test_a_server_without_tls_is_refused(self, settings, mariadb_server, mode):
        if cipher(on_host(settings, mariadb_server)):
            pytest.skip("this server offers TLS by itself")
        with pytest.raises(DBAPIError, match="SSL"):
            cipher(on_host(settings, mariadb_server, mysql_ssl_mode=mode))

    @pytest.mark.parametrize("content", [None, "no certificate"])
    def test_a_file_of_authorities_that_is_none_is_named(
        self, settings, secure_mariadb, tmp_path, content
    ):
        file = tmp_path / "ca.pem"
        if content:
            file.write_text(content)
        with pytest.raises(ConfigurationError, match=r"MYSQL_SSL_CA .*ca\.pem cannot be used"):
            cipher(encrypted(settings, secure_mariadb, "verify_ca", mysql_ssl_ca=file))

    def test_the_address_may_say_it(self, settings, secure_mariadb, certificate):
        url = secure_mariadb.address.set(username="app", password="right", host="localhost")
        options = {"ssl_mode": "verify_identity", "ssl_ca": str(certificate.authority)}
        address = url.update_query_dict(options).render_as_string(hide_password=False)
        chosen = settings.model_copy(update={"database_url": address})
        assert cipher(chosen)
        assert run(chosen, "db", "upgrade").exit_code == 0
        doctor = run(chosen, "doctor").output
        assert "the connection is encrypted (TLS" in doctor

    @pytest.mark.parametrize("mode", ["required", "verify_ca", "verify_identity"])
    def test_backup_and_restore_are_encrypted_alike(
        self, settings, secure_mariadb, certificate, mode, tmp_path
    ):
        find_tool(DUMP_TOOLS), find_tool(CLIENT_TOOLS)
        changes = {"mysql_ssl_ca": certificate.authority, "mysql_host": "localhost"}
        chosen = encrypted(settings, secure_mariadb, mode, **changes)
        assert run(chosen, "db", "upgrade").exit_code == 0
        archive = str(tmp_path / "it.tar")
        for arguments in (["backup", archive], ["restore", archive, "--force"]):
            result = run(chosen, *arguments)
            assert result.exit_code == 0, result.output

    @pytest.mark.parametrize("mode", ["verify_ca", "verify_identity"])
    def test_the_tools_of_a_backup_trust_no_other_authority(
        self, settings, secure_mariadb, mode, tmp_path
    ):
        other = make_certificate(tmp_path / "other", "localhost").authority
        changes = {"mysql_ssl_ca": other, "mysql_host": "localhost"}
        file = tmp_path / "login.cnf"
        file.write_text(login_options(encrypted(settings, secure_mariadb, mode, **changes)))
        with pytest.raises(BackupError, match=r"(?i)certificate"):
            run_tool(
                [find_tool(DUMP_TOOLS), f"--defaults-extra-file={file}", "mysql"],
                stdout=subprocess.DEVNULL,
            )
