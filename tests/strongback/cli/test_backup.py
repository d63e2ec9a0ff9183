from __future__ import annotations

import json
import re
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import delete, func, select, text
from sqlalchemy.orm import Session

from app.core.config import ROOT, Settings
from app.main import create_app
from app.user.model import User
from strongback.auth.session_model import AuthSession, RefreshToken
from strongback.cli.backup import CLIENT_TOOLS, DUMP_TOOLS, BackupError, find_tool
from strongback.database import Base, Database, utc_now
from strongback.migration.branch import FIRST_EDITION
from strongback.migration.runner import upgrade

pytestmark = pytest.mark.speaks_sql


def has_tools() -> bool:
    try:
        return bool(find_tool(DUMP_TOOLS) and find_tool(CLIENT_TOOLS))
    except BackupError:
        return False


class Application:
    """An application with a migrated database of its own, and its commands."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.app = create_app(settings)
        self.database: Database = self.app.services[Database]

    def run(self, *arguments: str) -> Result:
        return self.app.test_cli_runner().invoke(args=arguments)

    def succeed(self, *arguments: str) -> str:
        result = self.run(*arguments)
        assert result.exit_code == 0, result.output
        return result.output

    def names(self) -> list[str]:
        with self.database.scope():
            return list(self.database.session.scalars(select(User.username).order_by(User.id)))

    def add(self, name: str) -> None:
        user = User(username=name, password_hash=None, roles=["user"])
        self.database.transact(lambda session: session.add(user))

    def open_session(self) -> None:
        moment = utc_now()
        session = AuthSession(id="s", user_id=1, client_id="c", expires_at=moment)

        def store(database: Session) -> None:
            database.add(session)
            database.flush()
            database.add(RefreshToken(token_hash="h", session_id="s"))

        self.database.transact(store)

    def count(self, model: type[Base]) -> int:
        with self.database.scope():
            return self.database.session.scalar(select(func.count()).select_from(model)) or 0

    def databases_beside(self) -> list[str]:
        with self.database.engine.connect() as connection:
            return list(connection.scalars(text(r"SHOW DATABASES LIKE '%\_restore\_%'")))

    def empty(self) -> None:
        """Leave no table: what an earlier test has made on a shared server is in the way."""
        Base.metadata.drop_all(self.database.engine)
        with self.database.engine.begin() as connection:
            connection.execute(text("DROP TABLE IF EXISTS sb_version"))


@pytest.fixture
def application(settings: Settings, database_url: str, migrated: Path) -> Iterator[Application]:
    if "mysql" in database_url and not has_tools():
        pytest.skip("MySQL's client tools are not installed")
    application = Application(settings.model_copy(update={"database_url": database_url}))
    if application.settings.is_sqlite:
        shutil.copy(migrated, application.settings.database_address.database or "")
    else:
        application.empty()
        upgrade(application.app)
    yield application
    if not application.settings.is_sqlite:
        application.empty()
    application.database.close()


@pytest.fixture
def archive(tmp_path: Path) -> str:
    return str(tmp_path / "backup" / "it.tar")


def change_manifest(archive: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    folder = archive.parent / "x"
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    manifest = folder / "manifest.json"
    facts = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(facts | change(facts)))
    with tarfile.open(archive, "w") as tar:
        tar.add(folder, ".")


def file_of(application: Application, name: str) -> Path:
    path = application.settings.app_var_dir / "files" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


class TestRoundTrip:
    def test_brings_back_rows_and_files_as_they_were(self, application, archive):
        application.add("zoë 🙂 'quoted'")
        file_of(application, "a/b.bin").write_bytes(bytes(range(256)))
        application.succeed("backup", archive)
        application.add("later")
        file_of(application, "a/b.bin").write_bytes(b"changed")
        file_of(application, "later.bin").touch()
        application.succeed("restore", archive, "--force")
        assert application.names() == ["zoë 🙂 'quoted'"]
        assert file_of(application, "a/b.bin").read_bytes() == bytes(range(256))
        assert not file_of(application, "later.bin").exists()

    def test_leaves_out_halves_of_writes_and_keeps_the_folder_which_may_be_a_volume(
        self, application, archive
    ):
        whole = file_of(application, "a/b.bin")
        whole.write_bytes(b"whole")
        file_of(application, "a/c.bin#1").write_bytes(b"ha")
        folder = whole.parents[1].stat().st_ino
        application.succeed("backup", archive)
        application.succeed("restore", archive, "--force")
        assert whole.parents[1].stat().st_ino == folder
        assert [path.name for path in whole.parents[1].rglob("*")] == ["a", "b.bin"]

    # SQLite's whole file is replaced.
    @pytest.mark.parametrize("database_url", ["mariadb_server"], ids=["mariadb"], indirect=True)
    def test_removes_tables_that_a_later_release_has_made(self, application, archive):
        application.succeed("backup", archive)
        with application.database.engine.begin() as connection:
            connection.execute(text("CREATE TABLE later (id INT)"))
        application.succeed("restore", archive, "--force")
        with application.database.engine.connect() as connection:
            tables = connection.execute(text("SHOW TABLES LIKE 'later'")).all()
        assert tables == []

    def test_into_an_empty_database_needs_no_migration_first(self, application, archive):
        application.add("ada")
        application.succeed("backup", archive)
        application.empty()
        application.succeed("restore", archive, "--force")
        assert application.names() == ["ada"]
        assert "db upgrade" not in application.succeed("restore", archive, "--force")

    def test_ends_the_sessions_that_the_backup_had(self, application, archive):
        application.add("ada")
        application.open_session()
        application.succeed("backup", archive)
        application.succeed("restore", archive, "--force")
        assert application.names() == ["ada"]
        assert application.count(AuthSession) == application.count(RefreshToken) == 0

    def test_leaves_tables_that_refer_to_each_other_as_before(self, application, archive):
        application.add("ada")
        for _ in range(2):
            application.succeed("backup", archive)
            application.succeed("restore", archive, "--force")
        application.open_session()
        assert application.count(RefreshToken) == 1
        with application.database.engine.begin() as connection:
            connection.execute(delete(AuthSession))
        assert application.count(RefreshToken) == 0  # by the foreign key


@pytest.mark.parametrize("database_url", ["mariadb_server"], ids=["mariadb"], indirect=True)
class TestDump:
    """What a dump of MySQL may be like inside an archive that is whole; SQLite has none."""

    def restore_changed(self, application: Application, archive: str, old: str, new: str) -> Result:
        folder = Path(archive).parent / "x"
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
        dump = (folder / "database.sql").read_text()
        assert old in dump
        (folder / "database.sql").write_text(dump.replace(old, new, 1))
        with tarfile.open(archive, "w") as tar:
            tar.add(folder, ".")
        return application.run("restore", archive, "--force")

    @pytest.mark.parametrize(
        "old, new, said",
        [
            ("-- Dump completed", "", "is cut off"),
            ("CREATE TABLE `user`", "CREATE NO TABLE `user`", "failed: "),
            (
                "CREATE TABLE `user`",
                "INSERT INTO nothing VALUES (1); CREATE TABLE `user`",
                "nothing",
            ),
        ],
    )
    def test_one_that_cannot_be_loaded_touches_nothing(self, application, archive, old, new, said):
        application.succeed("backup", archive)
        application.add("later")
        result = self.restore_changed(application, archive, old, new)
        assert result.exit_code == 1
        assert said in result.output
        assert application.names() == ["later"]
        assert application.databases_beside() == []

    def test_an_account_that_may_make_no_databases_is_told_the_grant(
        self, application, archive, mariadb_server
    ):
        application.succeed("backup", archive)
        application.add("later")
        name = mariadb_server.address.database
        mariadb_server.execute("CREATE USER keeper@'%' IDENTIFIED BY 'right'")
        try:
            mariadb_server.execute(f"GRANT ALL ON {name}.* TO keeper@'%'")
            url = mariadb_server.address.set(username="keeper", password="right")
            address = url.render_as_string(hide_password=False)
            changed = application.settings.model_copy(update={"database_url": address})
            keeper = Application(changed)
            result = keeper.run("restore", archive, "--force")
            (grant,) = re.findall(r"GRANT ALL ON `.*`\.\*", result.output)
            assert keeper.names() == ["later"]
            mariadb_server.execute(f"{grant} TO keeper@'%'")
            keeper.succeed("restore", archive, "--force")
            assert keeper.names() == []
            keeper.database.close()
        finally:
            mariadb_server.execute("DROP USER keeper@'%'")


class TestArchive:
    def test_only_its_owner_may_read_it(self, application, archive):
        application.succeed("backup", archive)
        assert Path(archive).stat().st_mode & 0o077 == 0

    def test_says_what_it_is_and_names_no_password(self, application, archive):
        application.succeed("backup", archive)
        with tarfile.open(archive) as tar:
            member = tar.extractfile("manifest.json")
            assert member is not None
            manifest: dict[str, Any] = json.loads(member.read())
            names = tar.getnames()
        assert manifest["format"] == 1
        branches = {revision.partition("_")[2] for revision in manifest["revisions"]}
        slices = {
            file.stem.split("_")[1] for file in (ROOT / "migrations" / "versions").glob("*.py")
        }
        assert branches == {"strongback", *slices}
        assert not [name for name in names if "login" in name]

    def test_is_put_into_var_backup_by_default_and_nothing_else_is_left(self, application):
        application.succeed("backup")
        folder = application.settings.app_var_dir / "backup"
        assert [path.suffix for path in folder.iterdir()] == [".tar"]


class TestRefusal:
    def test_without_confirmation_nothing_is_touched(self, application, archive):
        application.succeed("backup", archive)
        application.add("later")
        result = application.run("restore", archive)
        assert result.exit_code == 1
        assert f"make restore FILE={archive} FORCE=1" in result.output
        assert application.names() == ["later"]

    def test_what_is_no_whole_backup_touches_nothing(self, application, archive):
        application.add("ada")
        application.succeed("backup", archive)
        path = Path(archive)
        path.with_name("truncated").write_bytes(path.read_bytes()[:2000])
        path.with_name("text").write_text("not a tar archive")
        with tarfile.open(path.with_name("foreign"), "w") as tar:
            tar.add(__file__, "something")
        for damage in ("truncated", "text", "foreign"):
            result = application.run("restore", str(path.with_name(damage)), "--force")
            assert result.exit_code == 1, damage
            assert "is no backup, or a damaged one" in result.output
            assert application.names() == ["ada"]

    def test_a_backup_of_the_first_edition_is_refused_and_touches_nothing(
        self, application, archive
    ):
        application.add("ada")
        application.succeed("backup", archive)
        change_manifest(Path(archive), lambda facts: {"revisions": [max(FIRST_EDITION)]})
        result = application.run("restore", archive, "--force")
        assert result.exit_code == 1
        assert len(result.output.strip().splitlines()) == 1
        assert "restore it with the first edition" in result.output
        assert application.names() == ["ada"]

    def test_a_backup_of_the_other_kind_of_database(self, application, archive):
        application.add("ada")
        application.succeed("backup", archive)
        other = {"SQLite": "MySQL", "MySQL": "SQLite"}
        change_manifest(Path(archive), lambda facts: {"database": other[facts["database"]]})
        result = application.run("restore", archive, "--force")
        assert result.exit_code == 1
        assert "Set DATABASE_URL or MYSQL_*" in result.output
        assert application.names() == ["ada"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_damaged_sqlite_inside_touches_nothing(application, archive, tmp_path):
    application.add("ada")
    application.succeed("backup", archive)
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "x", filter="data")
    (tmp_path / "x" / "database.sqlite").write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    with tarfile.open(archive, "w") as tar:
        tar.add(tmp_path / "x", ".")
    result = application.run("restore", str(archive), "--force")
    assert result.exit_code == 1
    assert "is damaged" in result.output
    assert application.names() == ["ada"]


def test_a_missing_tool_is_named_with_the_way_to_get_it():
    with pytest.raises(BackupError, match="apt install mariadb-client"):
        find_tool(("no-such-tool-of-mysql",))
