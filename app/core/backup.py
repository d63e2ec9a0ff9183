"""Backups: the database and the files in one archive, written while the application runs.

    backup.tar
    ├── manifest.json      when, from which back end, at which revision
    ├── database.sqlite    or database.sql, what mysqldump wrote
    └── files/             what was in APP_VAR_DIR/files

SQLite is copied by its own backup interface, MySQL and MariaDB by mysqldump or mariadb-dump in one
transaction: neither keeps anybody waiting. Files are added after the database, so that each row of
it finds its file. What can be made anew (search index, cache) is left out.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from alembic.runtime.migration import MigrationContext
from flask import Flask, current_app
from flask.cli import with_appcontext
from sqlalchemy import inspect, make_url, text

from app.core.config import ROOT, Settings
from app.core.database import Database
from app.core.exceptions import GroundworkError
from app.core.migration import pending

FORMAT = 1
DUMP_TOOLS = ("mysqldump", "mariadb-dump")
CLIENT_TOOLS = ("mysql", "mariadb")
DUMP_OPTIONS = ("--single-transaction", "--quick", "--no-tablespaces", "--hex-blob")


class BackupError(GroundworkError):
    """A backup could not be written or read; the message tells what to do."""


class Backup:
    """Writes and reads archives of one application's database and files.

    Args:
        settings: Where the database and the files are.
        database: The database itself.
    """

    def __init__(self, settings: Settings, database: Database) -> None:
        self.settings = settings
        self.database = database
        self.files = settings.app_var_dir / "files"

    def write(self, target: Path) -> None:
        """Write an archive; an existing one is replaced once the new one is complete.

        Raises:
            BackupError: The database could not be copied.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as name:
            folder = Path(name)
            dump = self._dump_sqlite if self.settings.is_sqlite else self._dump_mysql
            (folder / "manifest.json").write_text(json.dumps(self._manifest()))
            parts = [folder / "manifest.json", dump(folder)]
            archive = folder / "backup.tar"
            archive.touch(mode=0o600)
            with tarfile.open(archive, "w") as tar:
                for part in parts:
                    tar.add(part, part.name)
                for path in self._listed_files():
                    tar.add(path, path.relative_to(self.files.parent))
            archive.replace(target)

    def read(self, source: Path) -> None:
        """Put an archive in the place of database and files.

        Nothing is touched before the archive is seen to be whole and to fit.

        Raises:
            BackupError: It is damaged, or of the other kind of database.
        """
        self.settings.app_var_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.settings.app_var_dir) as name:
            folder = Path(name)
            manifest = unpack(source, folder)
            kind = self._kind
            if manifest["database"] != kind:
                raise BackupError(
                    f"{source} is a backup of {manifest['database']}, and the settings name {kind}."
                    " Set DATABASE_URL or MYSQL_* to what it is to be restored to."
                )
            if self.settings.is_sqlite:
                self._load_sqlite(folder / "database.sqlite")
            else:
                self._load_mysql(folder / "database.sql")
            self._replace_files(folder / "files")

    # SQLite

    @property
    def _sqlite_file(self) -> Path:
        return ROOT / (make_url(self.settings.database_address).database or "")

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
                (answer,) = source.execute("PRAGMA integrity_check").fetchone()
            except sqlite3.DatabaseError as error:
                answer = str(error)
            if answer != "ok":
                raise BackupError(f"The database in the backup is damaged: {answer}")
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
        tool = find_tool(CLIENT_TOOLS)
        # A table that the backup does not know would be left over, and in a migration's way.
        with self.database.engine.begin() as connection:
            connection.execute(text("SET FOREIGN_KEY_CHECKS = 0"))
            for table in inspect(connection).get_table_names():
                connection.execute(text(f"DROP TABLE `{table}`"))
            connection.execute(text("SET FOREIGN_KEY_CHECKS = 1"))
        with self._login(dump.parent) as login, dump.open("rb") as source:
            run([tool, login, self._mysql_name], stdin=source)

    @property
    def _mysql_name(self) -> str:
        return make_url(self.settings.database_address).database or ""

    @contextmanager
    def _login(self, folder: Path) -> Iterator[str]:
        """Write who signs in to a file for the tools: a process list shows no password then."""
        url = make_url(self.settings.database_address)
        path = folder / "login.cnf"
        path.touch(mode=0o600)
        password = (url.password or "").replace("\\", "\\\\").replace('"', '\\"')
        path.write_text(
            f'[client]\nhost="{url.host}"\nport={url.port or 3306}\nuser="{url.username}"\n'
            f'password="{password}"\nprotocol=tcp\ndefault-character-set=utf8mb4\n'
            # As the application's own driver: encrypted where the server offers it.
            "loose-ssl-verify-server-cert=0\n"
        )
        try:
            yield f"--defaults-extra-file={path}"
        finally:
            path.unlink()

    # Files and facts

    def _listed_files(self) -> list[Path]:
        return sorted(path for path in self.files.rglob("*") if path.is_file())

    def _replace_files(self, unpacked: Path) -> None:
        old = unpacked.parent / "old"
        unpacked.mkdir(exist_ok=True)
        if self.files.exists():
            self.files.rename(old)
        unpacked.rename(self.files)

    @property
    def _kind(self) -> str:
        return "SQLite" if self.settings.is_sqlite else "MySQL"

    def _manifest(self) -> dict[str, Any]:
        with self.database.engine.connect() as connection:
            heads = MigrationContext.configure(connection).get_current_heads()
        return {
            "format": FORMAT,
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "database": self._kind,
            "revisions": list(heads),
        }


def unpack(source: Path, folder: Path) -> dict[str, Any]:
    """Unpack an archive into a folder, and return its manifest.

    Raises:
        BackupError: It is no backup, damaged, or of a newer release.
    """
    try:
        with tarfile.open(source) as tar:
            tar.extractall(folder, filter="data")
        manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    except (OSError, tarfile.TarError, ValueError) as error:
        raise BackupError(f"{source} is no backup, or a damaged one: {error}") from error
    if manifest.get("format") != FORMAT:
        raise BackupError(f"{source} was written by another release: format {manifest['format']}")
    return manifest


def find_tool(names: tuple[str, ...]) -> str:
    """Return the first of these programs that is installed.

    Raises:
        BackupError: None is.
    """
    for name in names:
        if path := shutil.which(name):
            return path
    raise BackupError(
        f"None of {', '.join(names)} is installed. Install MySQL's or MariaDB's client (Debian,"
        " Ubuntu: apt install mariadb-client), or run this in the web container, which has it."
    )


def run(command: list[str], **streams: Any) -> None:  # noqa: ANN401  subprocess's own
    """Run a tool to its end.

    Raises:
        BackupError: It failed; with what it said.
    """
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
        try:
            backup.write(target)
        except BackupError as error:
            raise click.ClickException(str(error)) from None
        click.echo(f"{target} ({target.stat().st_size:,} bytes)")

    @app.cli.command("restore")
    @click.argument("source", type=click.Path(path_type=Path, exists=True, dir_okay=False))
    @click.option("--force", is_flag=True, help="Yes, replace what is there.")
    @with_appcontext
    def restore_command(source: Path, force: bool) -> None:  # noqa: FBT001  click calls it by name
        """Replace database and files by an archive. Stop the application first."""
        place = make_url(settings.database_address).render_as_string()
        if not force:
            message = (
                f"This replaces everything in {place} and {backup.files}. Stop the application,"
                f" then confirm: make restore FILE={source} FORCE=1, or --force"
            )
            raise click.ClickException(message)
        try:
            backup.read(source)
        except BackupError as error:
            raise click.ClickException(str(error)) from None
        click.echo(f"Restored {place} and {backup.files} from {source}")
        if pending(current_app._get_current_object()):  # type: ignore[attr-defined]  # noqa: SLF001  Werkzeug's documented way to the object
            click.echo("The backup is of an earlier release: flask --app app.main db upgrade")
