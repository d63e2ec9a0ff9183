"""Commands for the outbox."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import click

from strongback.cli.command import DatabaseGroup, command_line, progress
from strongback.outbox import MAX_COUNTED, MessageState, Outbox, OutboxMessage
from strongback.schema import MAX_ID
from strongback.web.injection import inject

group = DatabaseGroup("outbox", help="Look after messages on their way to their consumers.")
outbox = inject(Outbox)


@group.command("list")
@click.option(
    "--state",
    type=click.Choice([state.value for state in MessageState]),
    help="Only messages in this state.",
)
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@click.option("--trace", is_flag=True, help="Show the traceback of the last failed attempt.")
def list_messages(*, state: str | None, limit: int, trace: bool) -> None:
    """Show messages, the oldest first; `dead` ones wait for replay or purge."""
    with outbox.database.scope():
        status = outbox.status()
        for message in outbox.list(MessageState(state) if state else None, limit):
            click.echo(_line(message))
            if trace and message.error:
                click.echo(message.error)
    click.echo(
        f"{_number(status.waiting)} waiting, {_number(status.running)} running,"
        f" {_number(status.dead)} dead;"
        f" the oldest that is not done has been due for {status.lag:.0f} s."
    )


@group.command("replay")
@click.argument("ids", type=click.IntRange(1, MAX_ID), nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Replay every dead message.")
def replay(*, ids: tuple[int, ...], everything: bool) -> None:
    """Try dead messages again, as if they were new; the exit status is 1 if one is not there."""
    if bool(ids) == everything:
        raise click.UsageError("Name the messages' ids (flask outbox list), or say --all.")
    if everything:
        with outbox.database.scope(), _tally("Replaying") as tally:
            outbox.replay_all(tally)
        _report(tally.count)
        return
    with outbox.database.scope():
        replayed = outbox.replay(ids)
    if replayed:
        _report(len(replayed))
    if lacking := sorted(set(ids).difference(replayed)):
        raise click.ClickException(
            f"No dead message has the id {', '.join(map(str, lacking))}."
            f" See which there are: {command_line('outbox list --state dead')}"
        )


def _report(count: int) -> None:
    messages = "1 message" if count == 1 else f"{count} messages"
    click.echo(f"{messages} will be tried again by a running server or worker.")


@group.command("purge")
@click.option(
    "--days",
    type=click.FloatRange(0, 36_500),
    default=30,
    show_default=True,
    help="Only messages that are older.",
)
@click.confirmation_option(prompt="Delete dead messages for good?")
def purge(days: float) -> None:
    """Delete dead messages for good."""
    with outbox.database.scope(), _tally("Deleting") as tally:
        outbox.purge(timedelta(days=days), tally)
    click.echo(f"Deleted {tally.count} dead messages.")


class _Tally:
    """Counts what is done, and shows it."""

    def __init__(self, show: Callable[[int], object]) -> None:
        self.count = 0
        self._show = show

    def __call__(self, more: int) -> None:
        self.count += more
        self._show(more)


@contextmanager
def _tally(label: str) -> Iterator[_Tally]:
    """Count dead messages dealt with in small transactions; after a Ctrl-C, say how many."""
    length = outbox.count(MessageState.DEAD)
    with progress(label, length) as count:
        tally = _Tally(count)
        try:
            yield tally
        except KeyboardInterrupt:
            rest = f"{tally.count} of {length} messages are done; the command goes on where it was."
            raise click.ClickException(f"Interrupted: {rest}") from None


def _number(count: int) -> str:
    return str(count) if count < MAX_COUNTED else f"{MAX_COUNTED} or more"


def _line(message: OutboxMessage) -> str:
    due = message.available_at.strftime("%Y-%m-%d %H:%M:%S") if message.available_at else "-"
    return (
        f"{message.id:>8}  {message.state:<8} {message.consumer:<28} {message.key or '-':<20}"
        f" attempts {message.attempts}  due {due}"
    )
