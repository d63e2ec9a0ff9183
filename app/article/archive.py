"""Imports of archives: uploaded by a request, imported by a job."""

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
"""Refused files listed in a result; all are counted."""
NAME_TOLD = 200
"""Characters of a file name in a result; names in a zip may have 65,535."""
REASON_TOLD = 500
"""Characters of a reason, which may contain a file name."""

Progress = Callable[[int, int, str], None]
"""Called with the number of processed files, of all files, and the name of the last one."""
Translate = Callable[[str, str], str]
"""Translates a message."""


class ArchiveImports:
    """Stores uploaded archives, and imports them.

    Args:
        articles: Writes the articles.
        uploads: Stores an archive for its job.
        jobs: Starts the job.
        translate: Translates the reasons of refusals.
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
        """Start the import of an archive as articles of the caller.

        Args:
            name: Name of the archive, for messages.
            file: The archive.
            by: Author of the articles, who may also watch the job.
            encoding: Encoding of file names and texts that are not in UTF-8.
            locale: Language of the reasons.

        Raises:
            ArchiveRefused: The file is no zip of Markdown, or unpacking it is unsafe.
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
        """Import an archive, file by file; repeating it has no effect.

        Args:
            upload_id: Id of the upload.
            author: Username of the author.
            progress: Called after each file; raises TaskCancelled to stop.
            encoding: Encoding of file names and texts that are not in UTF-8.
            locale: Language of the reasons.

        Returns:
            The numbers of created, updated, unchanged, skipped and refused files, and the refused
            ones with their reasons.

        Raises:
            UploadGone: The upload was deleted before the job started.
            Forbidden: The account may no longer write articles; imported ones stay.
            TaskCancelled: The job was cancelled; imported articles stay.
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
