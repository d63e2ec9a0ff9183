"""Imports of whole archives: taken in by a request, done by a job."""

from __future__ import annotations

from collections.abc import Callable
from typing import IO, Any

from app.article.importing import Importer, Outcome, Report
from app.article.service import ArticleService
from app.article.source import Encoding
from app.article.zip_source import documents_in_zip
from app.core.permission import Permission
from strongback.auth.principal import Principal
from strongback.exceptions import Forbidden
from strongback.task import Jobs, TaskCancelled, TaskRecord
from strongback.text import shorten
from strongback.upload import Uploads

JOB = "article:import"
REFUSALS_TOLD = 500
"""Refused files that a result names; it counts all of them."""
NAME_TOLD = 200
"""Characters of a file's name that a result has at most; a name in a zip may have 65,535."""
REASON_TOLD = 500
"""Characters of a reason, which may name another file."""

Progress = Callable[[int, int, str], None]
"""Is told the files that are done, those there are, and the latest one's name."""
Translate = Callable[[str, str], str]
"""Gives a message in a locale."""


class ArchiveImports:
    """Takes archives in, and imports them.

    Args:
        articles: Where the articles are written.
        uploads: Where an archive waits for its job.
        jobs: Starts it.
        translate: Gives reasons in the language of whoever sent an archive.
    """

    def __init__(
        self,
        articles: ArticleService,
        uploads: Uploads,
        jobs: Jobs,
        translate: Translate = lambda message, _: message,
    ) -> None:
        self.database = articles.database
        self._translate = translate
        self._articles = articles
        self._uploads = uploads
        self._jobs = jobs

    def start(
        self,
        name: str,
        file: IO[bytes],
        by: Principal,
        *,
        encoding: Encoding | None = None,
        locale: str = "en",
    ) -> TaskRecord:
        """Have an archive imported as articles of the caller's.

        Args:
            name: What the caller calls it.
            file: The archive.
            by: Whose articles they will be, and who may watch.
            encoding: What names and texts are in that are not UTF-8.
            locale: The language of the reasons.

        Raises:
            ArchiveRefused: It is not a zip of Markdown, or one that is not to be unpacked.
        """
        documents_in_zip(file, encoding)  # outside of the transaction: nobody is to wait for it
        payload: dict[str, Any] = {"author": by.username, "encoding": encoding, "locale": locale}
        payload |= {"upload_id": self._uploads.keep(name, file)}
        return self._jobs.start(JOB, payload, owner=by.user_id)

    def run(
        self,
        upload_id: int,
        author: str,
        progress: Progress,
        *,
        encoding: Encoding | None = None,
        locale: str = "en",
    ) -> dict[str, Any]:
        """Import an archive, file by file; doing it again changes nothing.

        Args:
            upload_id: Number of the upload.
            author: Name of the account that the articles will belong to.
            progress: Is told after each file; raises TaskCancelled to end this.
            encoding: What names and texts are in that are not UTF-8.
            locale: The language of the reasons.

        Returns:
            How many were created, updated, unchanged, skipped and refused, and which were refused
            and why.

        Raises:
            UploadGone: It was deleted before this began.
            Forbidden: The account may write articles no longer; what is imported stays.
            TaskCancelled: Somebody has ended it; what is imported stays.
        """
        importer = Importer(
            self._articles,
            author=author,
            require_right=lambda: self._require_right(author),
            translate=lambda message: self._translate(message, locale),
        )
        report = Report()
        try:
            with self._uploads.open(upload_id) as file:
                documents = documents_in_zip(file, encoding)
                for done, result in enumerate(importer.run(documents), 1):
                    report.add(result)
                    progress(done, len(documents), result.name)
        except (TaskCancelled, Forbidden):
            self._uploads.release(upload_id)  # after any other error this is run again
            raise
        self._uploads.release(upload_id)
        return _result(report)

    def _require_right(self, author: str) -> None:
        if not self._articles.accounts.may(author, Permission.ARTICLE_WRITE):
            raise Forbidden("This account may not write articles any longer.")


def _result(report: Report) -> dict[str, Any]:
    refused = [
        {"file": shorten(each.name, NAME_TOLD), "reason": shorten(each.reason, REASON_TOLD)}
        for each in report.refusals[:REFUSALS_TOLD]
    ]
    counts = {str(outcome): count for outcome, count in report.counts.items()}
    return counts | {"refused": refused, "refused_total": report.counts[Outcome.REFUSED]}
