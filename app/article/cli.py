"""Commands for articles."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click

from app.article.importing import Importer, Report
from app.article.schema import LANGUAGE_PATTERN
from app.article.service import ArticleService
from app.article.source import documents_in_folder
from app.core.command import DatabaseGroup
from app.core.web import provided

group = DatabaseGroup("article", help="Bring articles in.")
articles = provided(ArticleService)

SYSTEM_AUTHOR = "importer"


def import_folder(
    folder: Path, *, author: str, language: str | None = None, label: str = "Importing"
) -> Report:
    """Import every Markdown file of a folder, with a progress bar on a terminal."""
    importer = Importer(articles, author=author, language=language)
    documents, report = documents_in_folder(folder), Report()
    with click.progressbar(
        importer.run(documents),
        length=len(documents),
        label=label,
        file=sys.stderr,
        hidden=not sys.stderr.isatty(),
    ) as results:
        for result in results:
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
def import_articles(path: Path, language: str | None, author: str | None) -> None:
    """Import the Markdown files below PATH, or the file PATH.

    Running it again changes only what changed. A file may begin with YAML front matter (title,
    slug, summary, tags, language, date). Files that cannot be imported are listed with the
    reason, the others are imported all the same, and the exit status is 1.
    """
    with articles.database.scope():
        owner = _resolve_author(author)
    report = import_folder(path, author=owner, language=language)
    for refusal in report.refusals:
        click.echo(f"refused  {refusal.name}: {refusal.reason}", err=True)
    click.echo(", ".join(f"{outcome} {count}" for outcome, count in report.counts.items()))
    if not sum(report.counts.values()):
        click.echo(f"No .md or .markdown files below {path}.", err=True)
    if report.refusals:
        raise click.exceptions.Exit(1)
