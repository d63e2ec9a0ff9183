"""Imports of whole archives: taken in by a request, done by a job."""

from __future__ import annotations

from collections.abc import Callable
from typing import IO, Any

from app.article.importing import Importer, Outcome, Report
from app.article.service import ArticleService
from app.article.source import documents_in_zip
from app.core.auth.principal import Principal
from app.core.database import transactional
from app.core.task import Jobs, TaskCancelled, TaskRecord
from app.core.upload import Uploads

JOB = "article:import"
REFUSALS_TOLD = 500
"""Refused files that a result names; it counts all of them."""

Progress = Callable[[int, int, str], None]
"""Is told the files that are done, those there are, and the latest one's name."""


class ArchiveImports:
    """Takes archives in, and imports them.

    Args:
        articles: Where the articles are written.
        uploads: Where an archive waits for its job.
        jobs: Starts it.
    """

    def __init__(self, articles: ArticleService, uploads: Uploads, jobs: Jobs) -> None:
        self.database = articles.database
        self._articles = articles
        self._uploads = uploads
        self._jobs = jobs

    def start(self, name: str, file: IO[bytes], by: Principal) -> TaskRecord:
        """Have an archive imported as articles of the caller's.

        Args:
            name: What the caller calls it.
            file: The archive.
            by: Whose articles they will be, and who may watch.

        Raises:
            ArchiveRefused: It is not a zip of Markdown, or one that is not to be unpacked.
        """
        documents_in_zip(file)  # outside of the transaction: nobody is to wait for it
        return self._start(name, file, by)

    @transactional
    def _start(self, name: str, file: IO[bytes], by: Principal) -> TaskRecord:
        upload_id = self._uploads.keep(name, file)
        payload = {"upload_id": upload_id, "author": by.username}
        return self._jobs.start(JOB, payload, owner=by.user_id)

    def run(self, upload_id: int, author: str, progress: Progress) -> dict[str, Any]:
        """Import an archive, file by file; doing it again changes nothing.

        Args:
            upload_id: Number of the upload.
            author: Name of the account that the articles will belong to.
            progress: Is told after each file; raises TaskCancelled to end this.

        Returns:
            How many were created, updated, unchanged and refused, and which were refused and why.

        Raises:
            UploadGone: It was deleted before this began.
            TaskCancelled: Somebody has ended it; what is imported stays.
        """
        report, importer = Report(), Importer(self._articles, author=author)
        try:
            with self._uploads.open(upload_id) as file:
                documents = documents_in_zip(file)
                for done, result in enumerate(importer.run(documents), 1):
                    report.add(result)
                    progress(done, len(documents), result.name)
        except TaskCancelled:
            self._uploads.release(upload_id)  # after any other error this is run again
            raise
        self._uploads.release(upload_id)
        return _result(report)


def _result(report: Report) -> dict[str, Any]:
    refused = [
        {"file": refusal.name, "reason": refusal.reason}
        for refusal in report.refusals[:REFUSALS_TOLD]
    ]
    counts = {str(outcome): count for outcome, count in report.counts.items()}
    return counts | {"refused": refused, "refused_total": report.counts[Outcome.REFUSED]}
