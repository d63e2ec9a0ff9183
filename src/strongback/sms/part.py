"""The part `sms`: what an application registers to send codes to telephones."""

from __future__ import annotations

from strongback.app import Strongback
from strongback.sms.choice import build_sender
from strongback.sms.code import CODE_REQUESTED, SmsCodes
from strongback.sms.task import sms_tasks
from strongback.sms.view import api
from strongback.task.declaration import TaskRegistry


def register(app: Strongback, url_prefix: str) -> SmsCodes:
    """Send codes, and serve their routes below a prefix. Needs the part `task`."""
    app.outbox.declare("strongback.sms", CODE_REQUESTED)
    codes = SmsCodes(app.database, app.outbox, build_sender(app.settings), app.settings)
    app.services[TaskRegistry].add(sms_tasks(codes))
    app.provide(codes)
    app.register_api(api, url_prefix=f"{url_prefix}/auth")
    return codes
