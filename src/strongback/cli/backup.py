"""Backups: the database and the files in one archive, written while the application runs.

    backup.tar
    ├── manifest.json      when, from which back end, at which revision
    ├── database.sqlite    or database.sql, what mysqldump wrote
    └── files/             what was in APP_VAR_DIR/files

Files in a bucket (FILE_STORE_URL) are not in it: a bucket has versions of its own.

SQLite is copied by its own backup interface, MySQL and MariaDB by mysqldump or mariadb-dump in one
transaction: neither keeps anybody waiting. Files are added after the database, so that each row of
it finds its file. What can be made anew (search index, cache) is left out.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import ssl
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from flask import Flask, current_app
from flask.cli import with_appcontext
from sqlalchemy import Connection, inspect
from sqlalchemy.exc import DBAPIError

from strongback.address import CHARSET, SSLMode
from strongback.auth.session_model import AuthSession, RefreshToken
from strongback.cli.command import command_line
from strongback.config import Settings
from strongback.database import Database
from strongback.exceptions import StrongbackError
from strongback.migration.branch import applied_revisions, is_first_edition
from strongback.migration.runner import pending

FORMAT = 1
DUMP_TOOLS = ("mysqldump", "mariadb-dump")
CLIENT_TOOLS = ("mysql", "mariadb")
DUMP_OPTIONS = ("--single-transaction", "--quick", "--no-tablespaces", "--hex-blob")
BESIDE = "_restore_"
"""Behind the database's name: where a dump is loaded before it takes the place of the tables."""
PATIENCE = 60
"""Seconds to wait for a table that is in use."""
OLD = ".restore-"
"""Begins the name of the folder where replaced files lie until all others are there."""
SESSIONS = (RefreshToken.__tablename__, AuthSession.__tablename__)
"""Tables that are restored empty: an account that was signed out since the backup stays out."""


class BackupError(StrongbackError):
    """A backup could not be written or read; the message tells what to do."""


class Backup:
    """Writes and reads archives of one application's database and files."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self.settings = settings
        self.database = database
        self.files = settings.app_var_dir / "files"

    def write(self, target: Path) -> None:
        """Write an archive, in place of an existing one once it is complete, or `BackupError`."""
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as name:
            folder = Path(name)
            dump = self._dump_sqlite if self.settings.is_sqlite else self._dump_mysql
            with self.database.engine.connect() as connection:
                revisions = list(applied_revisions(connection))
            made = datetime.now(UTC).isoformat(timespec="seconds")
            facts = {"created_at": made, "database": self._kind, "revisions": revisions}
            (folder / "manifest.json").write_text(json.dumps({"format": FORMAT, **facts}))
            parts = [folder / "manifest.json", dump(folder)]
            archive = folder / "backup.tar"
            archive.touch(mode=0o600)
            with tarfile.open(archive, "w") as tar:
                for part in parts:
                    tar.add(part, part.name)
                for path in sorted(self.files.rglob("*")):
                    # name#1 is the half of a write that runs, or was killed.
                    if path.is_file() and "#" not in path.name:
                        with suppress(FileNotFoundError):  # deleted meanwhile
                            tar.add(path, path.relative_to(self.files.parent))
            archive.replace(target)

    def read(self, source: Path) -> None:
        """Put an archive in the place of database and files.

        Nothing is touched before the archive is seen to be whole and to fit.

        Raises:
            BackupError: It is damaged, of the other kind of database, or of the first edition.
        """
        self.settings.app_var_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.settings.app_var_dir) as name:
            folder = Path(name)
            manifest = unpack(source, folder)
            if is_first_edition(manifest["revisions"]):
                raise BackupError(
                    f"{source} is a backup of the first edition, whose tables this release does not"
                    " know. Nothing was changed: restore it with the first edition"
                )
            if manifest["database"] != self._kind:
                raise BackupError(
                    f"{source} is a backup of {manifest['database']}, and the settings name"
                    f" {self._kind}. Set DATABASE_URL or MYSQL_* to the database to restore."
                )
            if self.settings.is_sqlite:
                self._load_sqlite(folder / "database.sqlite")
            else:
                self._load_mysql(folder / "database.sql")
            self._replace_files(folder / "files")

    # SQLite

    @property
    def _sqlite_file(self) -> Path:
        return self.settings.ROOT / (self.settings.database_address.database or "")

    def _dump_sqlite(self, folder: Path) -> Path:
        copy = folder / "database.sqlite"
        with (
            closing(sqlite3.connect(self._sqlite_file)) as live,
            closing(sqlite3.connect(copy)) as target,
        ):
            live.backup(target)
        return copy

    def _load_sqlite(self, copy: Path) -> None:
        with closing(sqlite3.connect(copy)) as source:
            try:
                (verdict,) = source.execute("PRAGMA integrity_check").fetchone()
            except sqlite3.DatabaseError as error:
                verdict = str(error)
            if verdict != "ok":
                raise BackupError(f"The database in the backup is damaged: {verdict}")
            tables = {name for (name,) in source.execute("SELECT name FROM sqlite_master")}
            for table in set(SESSIONS) & tables:
                source.execute(f"DELETE FROM {table}")  # noqa: S608  one of our own names
            source.commit()
            self._sqlite_file.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self._sqlite_file)) as live:
                source.backup(live)

    # MySQL and MariaDB

    def _dump_mysql(self, folder: Path) -> Path:
        dump = folder / "database.sql"
        with self._login(folder) as login, dump.open("wb") as output:
            tool = find_tool(DUMP_TOOLS)
            run([tool, login, *DUMP_OPTIONS, self._mysql_name], stdout=output)
        return dump

    def _load_mysql(self, dump: Path) -> None:
        check_dump(dump)
        tool, name = find_tool(CLIENT_TOOLS), self._mysql_name
        new, old = f"{name}{BESIDE}new", f"{name}{BESIDE}old"
        engine = self.database.migration_engine(PATIENCE)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            _make_databases(connection, new, old)
            try:
                with self._login(dump.parent) as login, dump.open("rb") as source:
                    run([tool, login, new], stdin=source)
                for table in {*SESSIONS}.intersection(_tables(connection, new)):
                    statement = f"DELETE FROM {_quote(new, table)}"  # noqa: S608  quoted
                    connection.exec_driver_sql(statement)
                _swap(connection, name, new, old)
            finally:
                for database in (new, old):
                    connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {_quote(database)}")

    @property
    def _mysql_name(self) -> str:
        return self.settings.database_address.database or ""

    @contextmanager
    def _login(self, folder: Path) -> Iterator[str]:
        """Write who signs in to a file for the tools: a process list shows no password then."""
        path = folder / "login.cnf"
        path.touch(mode=0o600)
        path.write_text(login_options(self.settings), "utf-8")
        try:
            yield f"--defaults-extra-file={path}"
        finally:
            path.unlink()

    # Files and facts

    def _replace_files(self, unpacked: Path) -> None:
        """Exchange what is in the folder; the folder itself may be a volume, and stays."""
        unpacked.mkdir(exist_ok=True)
        self.files.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.files, prefix=OLD) as old:
            for path in self.files.iterdir():
                if not path.name.startswith(OLD):
                    path.rename(Path(old) / path.name)
            for path in unpacked.iterdir():
                shutil.move(path, self.files / path.name)

    @property
    def _kind(self) -> str:
        return "SQLite" if self.settings.is_sqlite else "MySQL"


def unpack(source: Path, folder: Path) -> dict[str, Any]:
    """Unpack an archive into a folder, and return its manifest; `BackupError` if it is damaged."""
    try:
        with tarfile.open(source) as tar:
            tar.extractall(folder, filter="data")
        manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    except (OSError, tarfile.TarError, ValueError) as error:
        raise BackupError(f"{source} is no backup, or a damaged one: {error}") from error
    if manifest.get("format") != FORMAT:
        raise BackupError(f"{source} was written by another release: format {manifest['format']}")
    return manifest


def check_dump(dump: Path) -> None:
    """Raise `BackupError` if a dump lacks its end, so that tables would be missing."""
    with dump.open("rb") as source:
        source.seek(max(0, dump.stat().st_size - 200))
        if b"-- Dump completed" not in source.read():
            raise BackupError("The dump in the backup is cut off: take an older backup")


def login_options(settings: Settings) -> str:
    """Return the option file that lets the tools of MySQL and MariaDB in, encrypted as set.

    Each of the two passes over the other's words, which `loose-` begins.
    """
    url, mode = settings.database_address, settings.ssl_mode
    socket = url.query.get("unix_socket")
    checks = mode in {SSLMode.VERIFY_CA, SSLMode.VERIFY_IDENTITY}
    authorities = settings.ssl_ca or ssl.get_default_verify_paths().cafile
    options: dict[str, object] = {
        "host": url.host,
        "port": url.port or 3306,
        "user": url.username,
        "password": url.password,
        "socket": socket,
        "protocol": "socket" if socket else "tcp",
        "default-character-set": CHARSET,
        "loose-ssl-mode": mode.upper(),
        "loose-ssl": None if mode is SSLMode.PREFERRED else int(mode is not SSLMode.DISABLED),
        "loose-ssl-verify-server-cert": int(checks),
        "ssl-ca": authorities if checks else None,
    }
    lines = ["[client]\n"]
    for name, value in options.items():
        if value is not None:
            text = str(value).replace("\\", "\\\\").replace('"', '\\"')
            lines.append(f'{name}="{text}"\n')
    return "".join(lines)


def _make_databases(connection: Connection, *names: str) -> None:
    try:
        for name in names:
            connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {_quote(name)}")
            connection.exec_driver_sql(f"CREATE DATABASE {_quote(name)}")
    except DBAPIError as error:
        pattern = names[0].removesuffix("new").replace("_", r"\_")
        raise BackupError(
            f"The dump is loaded beside the tables first, and the account may not make databases"
            f" for that ({error.orig}). Nothing was changed. As an administrator: GRANT ALL ON"
            f" `{pattern}%`.* TO the account"
        ) from None


def _swap(connection: Connection, name: str, new: str, old: str) -> None:
    """Exchange all tables in one statement, which the server does whole or not at all."""
    moves = [(name, old, table) for table in _tables(connection, name)]
    moves += [(new, name, table) for table in _tables(connection, new)]
    pairs = [f"{_quote(here, table)} TO {_quote(there, table)}" for here, there, table in moves]
    connection.exec_driver_sql(f"RENAME TABLE {', '.join(pairs)}")


def _tables(connection: Connection, database: str) -> list[str]:
    return inspect(connection).get_table_names(database)


def _quote(*names: str) -> str:
    """Quote an identifier; the driver takes a lone % for a parameter."""
    return ".".join("`" + name.replace("`", "``").replace("%", "%%") + "`" for name in names)


def find_tool(names: tuple[str, ...]) -> str:
    """Return the first of these programs that is installed, or raise `BackupError`."""
    for name in names:
        if path := shutil.which(name):
            return path
    raise BackupError(
        f"None of {', '.join(names)} is installed. Install MySQL's or MariaDB's client (Debian,"
        " Ubuntu: apt install mariadb-client), or run this in the web container, which has it."
    )


def run(command: list[str], **streams: Any) -> None:  # noqa: ANN401  subprocess's own
    """Run a tool to its end; `BackupError` says what it said if it fails."""
    done = subprocess.run(  # noqa: S603  the arguments are ours
        command, stderr=subprocess.PIPE, check=False, **streams
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise BackupError(f"{Path(command[0]).name} failed: {said}")


# Commands ----------------------------------------------------------------------------------------


def init_backup(app: Flask, settings: Settings, database: Database) -> None:
    """Give the application `flask backup` and `flask restore`."""
    backup = Backup(settings, database)

    @app.cli.command("backup")
    @click.argument("target", type=click.Path(path_type=Path, dir_okay=False), required=False)
    def backup_command(target: Path | None) -> None:
        """Write database and files to an archive, by default one of this minute in var/backup."""
        name = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ.tar")
        target = target or settings.app_var_dir / "backup" / name
        backup.write(target)
        click.echo(f"{target} ({target.stat().st_size:,} bytes)")
        if settings.file_store_url:
            click.echo("The files are in the bucket of FILE_STORE_URL, not in the archive.")

    @app.cli.command("restore")
    @click.argument("source", type=click.Path(path_type=Path, exists=True, dir_okay=False))
    @click.option("--force", is_flag=True, help="Yes, replace what is there.")
    @with_appcontext
    def restore_command(source: Path, force: bool) -> None:  # noqa: FBT001  click calls it by name
        """Replace database and files by an archive. Stop the application first."""
        place = settings.database_address.render_as_string()
        if not force:
            raise click.ClickException(
                f"This replaces everything in {place} and {backup.files}. Stop the application,"
                f" then confirm: make restore FILE={source} FORCE=1, or --force"
            )
        backup.read(source)
        click.echo(f"Restored {place} and {backup.files} from {source}")
        if pending(current_app):
            click.echo(f"The backup is of an earlier release: {command_line('db upgrade')}")
