"""Commands for mail."""

from __future__ import annotations

import click
from flask.cli import AppGroup, with_appcontext

from strongback.database import utc_now
from strongback.mail.exceptions import MailFailed, MailRefused
from strongback.mail.message import Mail
from strongback.mail.service import MailService
from strongback.web.injection import inject

group = AppGroup("mail", help="Look after mail.")
mails = inject(MailService)

REMEDIES = (
    ("535", "Correct user and password in MAIL_URL, both percent-encoded."),
    ("530", "Write smtp+starttls:// in MAIL_URL, and user and password."),
    ("STARTTLS", "The server offers no STARTTLS: write smtps:// and its port, usually 465."),
    ("AUTH", "The server takes no password on this port: try smtp+starttls:// and 587."),
    ("WRONG_VERSION", "The server does not begin with TLS: write smtp+starttls:// and 587."),
    ("CERTIFICATE", "Use the host name in its certificate, or name its authority in MAIL_SSL_CA."),
    ("timed out", "See that this machine may connect there; many providers close port 25."),
    (
        "refused the message",
        "See that MAIL_FROM is a sender the server knows, and the recipient exists.",
    ),
)
"""What a reason contains, and what to do then; the first one counts."""


@group.command("test")
@click.argument("address")
@with_appcontext
def test(address: str) -> None:
    """Send a message to ADDRESS at once, and say what the mail server has replied."""
    data = {"at": utc_now(), "link": "", "unsubscribe_link": ""}
    parts = mails.templates.render("test", "en", data)
    try:
        mails.mailer.send(Mail(address, parts.subject, parts.text, parts.html))
    except ValueError as error:
        raise click.BadParameter(f"{address!r} {error}") from None
    except (MailFailed, MailRefused) as error:
        raise click.ClickException(f"{error}\n{remedy_for(str(error))}") from None
    click.echo(f"{mails.mailer.check()}, and has taken the message to {address}.")


def remedy_for(reason: str) -> str:
    """What to do about a message that was not taken."""
    found = (remedy for mark, remedy in REMEDIES if mark.lower() in reason.lower())
    return next(found, "See that MAIL_URL has the server's host and port, and that it runs.")
