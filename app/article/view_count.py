"""How often articles are read: counted in memory, saved by the process, added up by beat.

A read costs its request an addition. Every `SAVE_INTERVAL` seconds, and when the process stops, it
writes its counts as rows of their own, which no writer of articles waits for; a periodic task adds
them to the articles and deletes them in one transaction. So a clean stop loses nothing, a killed
process the counts since it last saved, and nothing is counted twice.
"""

from __future__ import annotations

import threading
from collections import Counter

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app.article.model import Article, ArticleState, ArticleTag, ArticleViews
from strongback.database import Database, transactional, utc_now
from strongback.log.setup import get_logger

log = get_logger(__name__)

SAVE_INTERVAL = 2.0
"""Seconds between two savings: what a killed process loses at most, in time."""
BATCH = 1000
"""Rows that one transaction adds up."""


class ViewCounter:
    """Counts reads in this process, and adds up what all have counted.

    Args:
        database: Where the counts go.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self._counts: Counter[int] = Counter()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    # In a process that serves readers

    def note(self, state: ArticleState) -> None:
        """Count one read of an article; a draft is not read but worked on."""
        if state.published_at is None or state.published_at > utc_now():
            return
        with self._lock:
            self._counts[state.article_id] += 1

    def start(self) -> None:
        """Begin to save from time to time; in a process that has forked, after the fork."""
        self._stopped.clear()
        self._thread = threading.Thread(target=self._run, name="article-views", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Save what is left, and end."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
        self._try_to_save()

    def save(self) -> None:
        """Write the counts down, and begin anew.

        Raises:
            SQLAlchemyError: That was not possible. The counts are kept for the next time, except
                where the connection was lost at the commit: whether they were written is not
                known then, and rather a few are lost than counted twice.
        """
        with self._lock:
            counts, self._counts = self._counts, Counter()
        if not counts:
            return
        is_written = False

        def write(session: Session) -> None:
            nonlocal is_written
            is_written = False
            rows = [{"article_id": number, "count": count} for number, count in counts.items()]
            session.execute(insert(ArticleViews), rows)
            is_written = True

        try:
            self.database.transact(write)
        except SQLAlchemyError:
            if not is_written:
                self._take_back(counts)
            raise

    def _take_back(self, counts: Counter[int]) -> None:
        with self._lock:
            self._counts.update(counts)

    def _run(self) -> None:
        while not self._stopped.wait(SAVE_INTERVAL):
            self._try_to_save()

    def _try_to_save(self) -> None:
        try:
            self.save()
        except SQLAlchemyError as error:
            log.warning("views_not_saved", error=type(error).__name__)

    # In the periodic task

    def add_up(self) -> int:
        """Add what the processes have saved to the articles; returns how many reads that were."""
        total = 0
        while count := self._add_up_batch():
            total += count
        return total

    @transactional
    def _add_up_batch(self) -> int:
        session = self.database.session
        oldest = select(ArticleViews).order_by(ArticleViews.id).limit(BATCH)
        # Another one that adds up at this moment takes other rows.
        rows = session.scalars(oldest.with_for_update(skip_locked=True)).all()
        counts: Counter[int] = Counter()
        for row in rows:
            counts[row.article_id] += row.count
        if counts:
            self._add(session, counts)
        for row in rows:
            session.delete(row)
        return counts.total()

    def _add(self, session: Session, counts: Counter[int]) -> None:
        query = (
            update(Article)
            .where(Article.id == bindparam("number"))
            .values(views=Article.views + bindparam("more"), updated_at=Article.updated_at)
        )
        # In one order, so that two never wait for each other. By the connection, because a session
        # takes a list for rows to be changed by their primary keys.
        rows = [{"number": number, "more": counts[number]} for number in sorted(counts)]
        session.connection().execute(query, rows)
        carried = update(ArticleTag).where(ArticleTag.article_id == bindparam("number"))
        session.connection().execute(
            carried.values(views=ArticleTag.views + bindparam("more")), rows
        )
