"""The part `mail`: messages by SMTP or in the log."""

from __future__ import annotations

from strongback.app import Strongback
from strongback.config import Settings
from strongback.mail.cli import group
from strongback.mail.mail_task import mail_tasks
from strongback.mail.mailer import LogMailer, Mailer
from strongback.mail.service import MAIL, MailService
from strongback.mail.smtp import SmtpMailer
from strongback.mail.template import MailTemplates
from strongback.mail.unsubscribe import Unsubscriptions
from strongback.mail.view import ROUTE, api
from strongback.task.declaration import TaskRegistry

REMEDY = "See that MAIL_URL has its address, and send yourself a message: flask mail test ADDRESS"


def register(app: Strongback, url_prefix: str, *, unsubscribe_page: str) -> MailService:
    """Send mail, and let its recipients unsubscribe. Needs the part `task`.

    Args:
        app: The application.
        url_prefix: Prefix of the API.
        unsubscribe_page: Path of the page on which people unsubscribe.
    """
    settings = app.settings
    facts = {"title": app.title, "url": settings.address}
    templates = MailTemplates(app.translations.translate, facts)
    unsubscriptions = Unsubscriptions(settings, f"{url_prefix}{ROUTE}", unsubscribe_page)
    mailer = build_mailer(settings)
    mails = MailService(app.database, app.outbox, settings, mailer, templates, unsubscriptions)
    app.outbox.declare("strongback.mail", MAIL)
    app.services[TaskRegistry].add(mail_tasks(mails))
    app.provide(mails, templates, mails.tokens, unsubscriptions)
    app.register_api(api, url_prefix=url_prefix)
    app.cli.add_command(group)
    if settings.mail_url is not None:
        app.checks.add("mail", mailer.check, title="The mail server", remedy=REMEDY)
    return mails


def build_mailer(settings: Settings) -> Mailer:
    """Return what sends messages: SMTP if configured, else the log."""
    if settings.mail_url is not None:
        return SmtpMailer(settings)
    return LogMailer(shows_text=not settings.is_production)
