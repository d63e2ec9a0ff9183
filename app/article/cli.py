"""Commands for articles."""

from __future__ import annotations

import re
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import get_args

import click
from sqlalchemy.exc import DBAPIError

from app.article.exceptions import ArchiveRefused
from app.article.importing import Importer, Outcome, Report
from app.article.schema import LANGUAGE_PATTERN
from app.article.service import ArticleService
from app.article.source import Encoding, documents_in_folder
from app.article.zip_source import documents_in_zip
from strongback.cli.command import DatabaseGroup
from strongback.web import inject

group = DatabaseGroup("article", help="Bring articles in.")
articles = inject(ArticleService)

SYSTEM_AUTHOR = "importer"


def import_path(  # noqa: PLR0913  options of an import, most with defaults
    path: Path,
    *,
    author: str,
    language: str | None = None,
    encoding: Encoding | None = None,
    has_folder_tags: bool = False,
    label: str = "Importing",
) -> Report:
    """Import the Markdown files of a folder or a zip, or one file, with a bar on a terminal.

    Raises:
        ArchiveRefused: It is a zip that is not to be unpacked.
    """
    importer = Importer(articles, author=author, language=language, has_folder_tags=has_folder_tags)
    with ExitStack() as stack:
        if path.suffix.lower() == ".zip" and path.is_file():
            documents = documents_in_zip(stack.enter_context(path.open("rb")), encoding)
        else:
            documents = documents_in_folder(path, encoding)
        bar = click.progressbar(
            importer.run(documents),
            length=len(documents),
            label=label,
            file=sys.stderr,
            hidden=not sys.stderr.isatty(),
        )
        report = Report()
        for result in stack.enter_context(bar):
            report.add(result)
    return report


def _check_language(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    if value is None or re.fullmatch(LANGUAGE_PATTERN, value):
        return value
    message = f"{value!r} is not a language tag such as en, zh or pt-BR."
    raise click.BadParameter(message)


def _resolve_author(name: str | None) -> str:
    if name is None:
        articles.accounts.ensure_system_account(SYSTEM_AUTHOR)
        return SYSTEM_AUTHOR
    if not articles.accounts.exists(name):
        message = (
            f"There is no account named {name}."
            f" Make it first: flask --app app.main user create {name} --role author"
        )
        raise click.ClickException(message)
    return name


@group.command("import")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--language",
    callback=_check_language,
    help="Language of files whose front matter names none; by default taken from a folder or"
    " suffix such as zh/page.md or page.zh.md, else en.",
)
@click.option(
    "--author",
    help=f"Account that the articles belong to.  [default: {SYSTEM_AUTHOR}, made when missing]",
)
@click.option(
    "--encoding",
    type=click.Choice(get_args(Encoding)),
    help="Encoding of file names and texts that are not UTF-8.",
)
@click.option("--verbose", is_flag=True, help="Also list the files that were skipped.")
def import_articles(
    path: Path,
    language: str | None,
    author: str | None,
    encoding: Encoding | None,
    verbose: bool,  # noqa: FBT001  click calls it by name
) -> None:
    """Import the Markdown files of the folder or zip PATH, or the file PATH.

    Running it again changes only what changed. A file may begin with front matter (title, slug,
    summary, tags, language, date, draft) in YAML, TOML or JSON, as Jekyll, Hexo, Hugo, Obsidian
    and VitePress write it. Drafts stay drafts; hidden folders and node_modules are skipped.

    Files that cannot be imported are listed with the reason, the others are imported all the same,
    and the exit status is 1.
    """
    with articles.database.scope():
        owner = _resolve_author(author)
    try:
        report = import_path(path, author=owner, language=language, encoding=encoding)
    except ArchiveRefused as error:
        raise click.ClickException(error.errors[0]["message"]) from None
    except DBAPIError as error:
        message = f"The database does not answer: {error.orig}. Import again: this goes on then."
        raise click.ClickException(message) from None
    _tell(report, path, verbose=verbose)
    if report.refusals:
        raise click.exceptions.Exit(1)


def _tell(report: Report, path: Path, *, verbose: bool) -> None:
    for skipped in report.skipped if verbose else ():
        click.echo(f"skipped  {skipped.name}: {skipped.reason}", err=True)
    for refusal in report.refusals:
        click.echo(f"refused  {refusal.name}: {refusal.reason}", err=True)
    # What is skipped is mostly nothing, and then not worth a word.
    counts = [
        f"{outcome} {count}"
        for outcome, count in report.counts.items()
        if count or outcome is not Outcome.SKIPPED
    ]
    click.echo(", ".join(counts))
    if not sum(report.counts.values()):
        click.echo(f"No .md or .markdown files below {path}.", err=True)
