"""Branches of revisions: the branch of a revision, and the applied revision of each branch.

The name of a revision has its time and its branch, `1795744800_article`, so that the branch of an
unknown one (of a later release, or a removed slice) is evident. The table `sb_version` has one row
for each branch. Alembic itself would drop the row of a branch that another one depends on, and
after the removal of the other one nothing would tell what was applied.
"""

from __future__ import annotations

from collections.abc import Iterable

from alembic.runtime.migration import MigrationContext, MigrationStep, RevisionStep
from sqlalchemy import Connection

from strongback.exceptions import StrongbackError

FRAMEWORK = "strongback"
"""The branch of the framework's own tables."""
PREFIX = "sb_"
"""Prefix of their names."""
VERSION_TABLE = "sb_version"
FOREIGN_TABLE = "alembic_version"
"""Alembic's default version table: of the first edition, or of another program."""
FIRST_EDITION = frozenset(
    (
        *("1795372120", "1795374442", "1795374590", "1795382887", "1795383072", "1795383300"),
        *("1795383500", "1795724000", "1795725900", "1795726800", "1795729800"),
    )
)
"""All revisions of the first edition."""
NAME_LENGTH = 32
"""Longest name of a revision in Alembic's table."""


class MigrationError(StrongbackError):
    """The schema cannot be read or migrated; the message has the remedy."""


def branch_of(revision: str) -> str:
    """Return the branch of a revision, from its name; empty if it has none."""
    return revision.partition("_")[2]


def name_revision(moment: str, branch: str) -> str:
    """Return the name of a revision of a branch."""
    return f"{moment}_{branch}"[:NAME_LENGTH]


def applied_revisions(connection: Connection) -> tuple[str, ...]:
    """Return the last applied revision of each branch; refuse a database of the first edition."""
    options = {"version_table": VERSION_TABLE}
    revisions = MigrationContext.configure(connection, opts=options).get_current_heads()
    foreign = () if revisions else MigrationContext.configure(connection).get_current_heads()
    if is_first_edition(foreign):  # the default table may also belong to another program
        raise MigrationError(
            "This database is of the first edition, and this release does not convert it. Nothing"
            " was changed: back it up with the first edition, then name an empty database:"
            " another DATABASE_URL, MYSQL_DATABASE or APP_VAR_DIR"
        )
    return revisions


def is_first_edition(revisions: Iterable[str]) -> bool:
    """Return whether these are revisions of the first edition."""
    return not FIRST_EDITION.isdisjoint(revisions)


class BranchStep(RevisionStep):
    """One revision up or down, which changes the row of its own branch only."""

    @classmethod
    def of(cls, step: MigrationStep) -> MigrationStep:
        """Convert a step, unless it merges or stamps revisions."""
        if not isinstance(step, RevisionStep) or step.revision.is_merge_point:
            return step
        return cls(step.revision_map, step.revision, step.is_upgrade)

    def should_create_branch(self, heads: set[str]) -> bool:
        """Add a row for the first revision of a branch."""
        return self.is_upgrade and self.revision.down_revision not in heads

    def should_delete_branch(self, heads: set[str]) -> bool:  # noqa: ARG002  Alembic's signature
        """Delete the row with the first revision of a branch."""
        return self.is_downgrade and self.revision.is_base

    def should_merge_branches(self, heads: set[str]) -> bool:  # noqa: ARG002  the same
        """Leave the rows of other branches alone."""
        return False

    def should_unmerge_branches(self, heads: set[str]) -> bool:  # noqa: ARG002  the same
        """Leave the rows of other branches alone."""
        return False

    def update_version_num(self, heads: set[str]) -> tuple[str, str]:  # noqa: ARG002  the same
        """Return the old and the new value of the branch's row."""
        down, up = str(self.revision.down_revision), self.revision.revision
        return (down, up) if self.is_upgrade else (up, down)
