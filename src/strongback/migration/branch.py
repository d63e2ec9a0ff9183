"""Branches of revisions: which a revision belongs to, and what the database has of each.

A revision is named after its time and its branch, `1795744800_article`, so that one that this code
does not know (of a later release, or of a slice that was taken out) still says whose it is. The
table `sb_version` has one row for each branch. Alembic's own bookkeeping would drop the row of a
branch that another depends on, and once the other is taken out, nobody knew what was applied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from alembic.runtime.migration import MigrationContext, RevisionStep

from strongback.migration.migration_error import MigrationError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from alembic.runtime.migration import MigrationStep
    from sqlalchemy import Connection

FRAMEWORK = "strongback"
"""The branch of the framework's own tables."""
PREFIX = "sb_"
"""What their names begin with."""
VERSION_TABLE = "sb_version"
FOREIGN_TABLE = "alembic_version"
"""Where Alembic keeps its revisions by default: the first edition's, or another program's."""
FIRST_EDITION = frozenset(
    (
        *("1795372120", "1795374442", "1795374590", "1795382887", "1795383072", "1795383300"),
        *("1795383500", "1795724000", "1795725900", "1795726800", "1795729800"),
    )
)
"""All revisions of the first edition."""
NAME_LENGTH = 32
"""Characters that Alembic's table has for the name of a revision."""


def branch_of(revision: str) -> str:
    """Return the branch that a revision's name ends with; empty without one."""
    return revision.partition("_")[2]


def branches_of(step: MigrationStep) -> set[str]:
    """Return the branches whose rows a step moves."""
    return {branch_of(each) for each in (*step.from_revisions_no_deps, *step.to_revisions_no_deps)}


def name_revision(moment: str, branch: str) -> str:
    """Return the name of a branch's revision, as long as the table takes it."""
    return f"{moment}_{branch}"[:NAME_LENGTH]


def applied_revisions(connection: Connection) -> tuple[str, ...]:
    """Return the last revision of each branch that the database has.

    Raises:
        MigrationError: It is a database of the first edition.
    """
    options = {"version_table": VERSION_TABLE}
    revisions = MigrationContext.configure(connection, opts=options).get_current_heads()
    # Another program's table of that name may stand beside ours, and a forgotten one of the first.
    if not revisions and is_first_edition(
        MigrationContext.configure(connection).get_current_heads()
    ):
        msg = (
            "This database is of the first edition, and this release does not convert it. Nothing"
            " was changed: back it up with the first edition, then name an empty database:"
            " another DATABASE_URL, MYSQL_DATABASE or APP_VAR_DIR"
        )
        raise MigrationError(msg)
    return revisions


def is_first_edition(revisions: Iterable[str]) -> bool:
    """Return whether these are revisions of the first edition, whose tables have other names."""
    return not FIRST_EDITION.isdisjoint(revisions)


class BranchStep(RevisionStep):
    """One revision up or down, by which the row of its own branch moves, and no other."""

    @classmethod
    def of(cls, step: MigrationStep) -> MigrationStep:
        """Return a step that counts so; one that merges revisions, or marks them only, as it is."""
        if not isinstance(step, RevisionStep) or step.revision.is_merge_point:
            return step
        return cls(step.revision_map, step.revision, step.is_upgrade)

    def should_create_branch(self, heads: set[str]) -> bool:
        """Add a row for what follows nothing that has one."""
        return self.is_upgrade and self.revision.down_revision not in heads

    def should_delete_branch(self, heads: set[str]) -> bool:  # noqa: ARG002  Alembic's signature
        """Take the row away with the first revision of a branch."""
        return self.is_downgrade and self.revision.is_base

    def should_merge_branches(self, heads: set[str]) -> bool:  # noqa: ARG002  the same
        """Leave the rows alone of what it depends on."""
        return False

    def should_unmerge_branches(self, heads: set[str]) -> bool:  # noqa: ARG002  the same
        """Give them none: they have theirs."""
        return False

    def update_version_num(self, heads: set[str]) -> tuple[str, str]:  # noqa: ARG002  the same
        """Return what the branch's row says, and what it is to say."""
        down, up = str(self.revision.down_revision), self.revision.revision
        return (down, up) if self.is_upgrade else (up, down)
