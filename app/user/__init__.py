"""Accounts, and who follows whom."""

from __future__ import annotations

from pathlib import Path

from app.core import API
from app.user import avatar_view, cli, mail_view, page, task, view
from app.user.account import PASSWORD_CHANGED, AccountService
from app.user.avatar import AVATAR, AvatarService
from app.user.email_proof import EmailProof
from app.user.follow import FollowService
from app.user.model import User
from app.user.node import UserNode, UserPages
from app.user.password_reset import FORGOTTEN, PasswordReset
from app.user.service import UserService
from strongback import oauth
from strongback.app import Strongback
from strongback.file import Files
from strongback.mail import MailService, MailTemplates
from strongback.notification import Notifications
from strongback.sms import SmsCodes
from strongback.task import TaskRegistry


def register(app: Strongback) -> UserService:
    """Add accounts and signing in to the application."""
    users, pages = UserService(app.database, app.title), UserPages(app.database, app.cache)
    pages.watch(app.invalidator)
    app.filter_unknown("user", UserNode, User, lambda user: user.username, pages.all_names)
    mails = app.services.find(MailService)
    forgotten = "/account/forgotten" if mails else None
    sessions = oauth.register(app, users, API, pages.account, forgotten=forgotten)
    codes = app.services.find(SmsCodes)
    notifications = app.services.find(Notifications)
    if notifications is not None:
        notifications.reach(users)
        notifications.declare(PASSWORD_CHANGED)
    accounts = AccountService(app.database, users, sessions, codes, notifications)
    app.provide(users, pages, accounts, FollowService(app.database, users))
    app.translations.add(Path(__file__).with_name("translation"))
    app.register_api(view.api)
    app.cli.add_command(cli.group)
    if files := app.services.find(Files):
        files.declare(AVATAR)
        app.provide(AvatarService(users, files))
        app.register_api(avatar_view.api)
    if mails:
        _register_mail(app, accounts, mails)
    return users


def _register_mail(app: Strongback, accounts: AccountService, mails: MailService) -> None:
    app.services[MailTemplates].add(Path(__file__).with_name("mail"))
    app.outbox.declare(__name__, FORGOTTEN)
    app.provide(EmailProof(accounts.users, mails), PasswordReset(accounts, mails, app.outbox))
    app.services[TaskRegistry].add(task.group)
    app.register_api(mail_view.api)
    app.pages.add("user", Path(__file__).with_name("template"))
    app.register_blueprint(page.pages)
