"""Commands for the outbox."""

from __future__ import annotations

from datetime import timedelta

import click

from app.core.command import DatabaseGroup
from app.core.outbox import MessageState, Outbox, OutboxMessage
from app.core.schema import MAX_ID
from app.core.web.app import provided

group = DatabaseGroup("outbox", help="Look after messages on their way to their consumers.")
outbox = provided(Outbox)


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
        f"{status.waiting} waiting, {status.running} running, {status.dead} dead;"
        f" the oldest that is due is {status.lag:.0f} s late."
    )


@group.command("replay")
@click.argument("ids", type=click.IntRange(1, MAX_ID), nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Replay every dead message.")
def replay(*, ids: tuple[int, ...], everything: bool) -> None:
    """Try dead messages again, as if they were new; the exit status is 1 if one is not there."""
    if bool(ids) == everything:
        raise click.UsageError("Name the messages' numbers (flask outbox list), or say --all.")
    with outbox.database.scope():
        replayed = outbox.replay(None if everything else ids)
    if replayed or everything:
        count = "1 message" if len(replayed) == 1 else f"{len(replayed)} messages"
        click.echo(f"{count} will be tried again by a running server or worker.")
    if lacking := sorted(set(ids).difference(replayed)):
        raise click.ClickException(
            f"No dead message has the number {', '.join(map(str, lacking))}."
            " See which there are: flask --app app.main outbox list --state dead"
        )


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
    with outbox.database.scope():
        count = outbox.purge(timedelta(days=days))
    click.echo(f"Deleted {count} dead messages.")


def _line(message: OutboxMessage) -> str:
    due = message.available_at.strftime("%Y-%m-%d %H:%M:%S") if message.available_at else "-"
    return (
        f"{message.id:>8}  {message.state:<8} {message.consumer:<28} {message.key or '-':<20}"
        f" attempts {message.attempts}  due {due}"
    )
