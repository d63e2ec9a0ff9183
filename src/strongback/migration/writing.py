"""Writing revisions: changes of the models become one revision for each branch.

A table belongs to the branch that has the name of its model's package: `article` for
`app.article.model` and for `app.article`. The framework's tables are ignored, whether their models
are imported or not, and so are tables without a model: of another program, or of a deleted model.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

from alembic import util
from alembic.operations import ops
from alembic.script import ScriptDirectory
from sqlalchemy import Table

from strongback.database import Base
from strongback.migration.branch import (
    FOREIGN_TABLE,
    FRAMEWORK,
    PREFIX,
    MigrationError,
    name_revision,
)

Parts = dict[str, list[ops.MigrateOperation]]

UNNAMED = "default"
"""Flask-Alembic's default branch; ours for tables whose model is in no package."""


@dataclass(frozen=True)
class Writing:
    """Writes the requested revisions."""

    script: ScriptDirectory
    folder: Path
    """Of the revisions of new branches."""
    branch: str | None
    """The branch to write for, or `None` for all."""
    is_empty: bool

    def compares(self, name: str, *, is_stray: bool) -> bool:
        """Return whether a table is compared; a stray one has no model."""
        if self.branch is None:
            return not is_stray and not name.startswith(PREFIX)
        if is_stray:
            return not name.startswith(PREFIX) and name != FOREIGN_TABLE
        return branch_of_table(name) in {self.branch, UNNAMED}

    def divide(self, directives: list[ops.MigrationScript]) -> None:
        """Replace Alembic's one revision by one for each branch; refuse to write none."""
        (draft,) = directives
        assert draft.upgrade_ops is not None  # noqa: S101  there is one database
        parts: Parts = defaultdict(list)
        for operation in draft.upgrade_ops.ops:
            table: str = getattr(operation, "table_name")  # noqa: B009  not every type has it
            parts[self.branch or branch_of_table(table)].append(operation)
        if self.is_empty and self.branch:
            parts[self.branch] = []
        if not parts:
            raise MigrationError(
                "The models and the database agree: there is nothing to write. A revision to fill"
                " by hand: flask db revision --empty -b BRANCH MESSAGE"
            )
        needed = {name: set(_referred(part)) - {name} for name, part in parts.items()}
        order = [name for name in TopologicalSorter(needed).static_order() if name in parts]
        directives[:] = [self._revision(draft, name, parts, needed[name]) for name in order]

    def _revision(
        self, draft: ops.MigrationScript, branch: str, parts: Parts, needed: set[str]
    ) -> ops.MigrationScript:
        known = any(branch in each.branch_labels for each in self.script.walk_revisions())
        new = {name: name_revision(str(draft.rev_id), name) for name in parts}
        upgrade = ops.UpgradeOps(parts[branch])
        return ops.MigrationScript(
            new[branch],
            upgrade,
            _undo(upgrade),
            message=draft.message,
            imports=set(draft.imports),
            head=f"{branch}@head" if known else "base",
            branch_label=None if known else branch,
            version_path=None if known else self.folder,
            depends_on=[
                *util.to_tuple(draft.depends_on, default=()),
                *(new.get(name) or f"{name}@head" for name in sorted(needed)),
            ],
        )


def branch_of_table(name: str) -> str:
    """Return the branch of a table; `UNNAMED` if its model is in no package."""
    if name.startswith(PREFIX):
        return FRAMEWORK
    for mapper in Base.registry.mappers:
        if isinstance(mapper.local_table, Table) and mapper.local_table.name == name:
            return branch_of_module(mapper.class_.__module__)
    return UNNAMED


def branch_of_module(name: str) -> str:
    """Return the branch of a module's models; `UNNAMED` if it is in no package."""
    package = sys.modules[name].__package__ or ""  # its own, if the module is one itself
    return package.rpartition(".")[2] or UNNAMED


def _undo(upgrade: ops.UpgradeOps) -> ops.DowngradeOps:
    """Return the downgrade; indexes are dropped with their tables, as MySQL requires."""
    downgrade = upgrade.reverse()
    dropped = {each.table_name for each in downgrade.ops if isinstance(each, ops.DropTableOp)}
    downgrade.ops = [
        each
        for each in downgrade.ops
        if not (
            isinstance(each, ops.ModifyTableOps)
            and each.table_name in dropped
            and all(isinstance(change, ops.DropIndexOp) for change in each.ops)
        )
    ]
    return downgrade


def _referred(operations: list[ops.MigrateOperation]) -> Iterator[str]:
    """Yield the branches whose tables are referred to."""
    for operation in operations:
        if isinstance(operation, ops.CreateTableOp):
            for key in operation.to_table().foreign_keys:
                yield branch_of_table(key.target_fullname.rpartition(".")[0])
        elif isinstance(operation, ops.ModifyTableOps):
            for change in operation.ops:
                if isinstance(change, ops.CreateForeignKeyOp):
                    yield branch_of_table(change.referent_table)
