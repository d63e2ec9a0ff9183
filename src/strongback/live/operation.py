"""Channels for operators: the state of the outbox and of the services, again and again."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from strongback.auth.principal import Principal
from strongback.check import Checks
from strongback.database import utc_now
from strongback.live.permission import OperationPermission
from strongback.outbox import Outbox
from strongback.realtime.channel import Channels, Grant, History
from strongback.realtime.realtime import Realtime
from strongback.task import TaskContext, TaskGroup
from strongback.task.view import outbox_figures
from strongback.web.health import readiness

OUTBOX, SERVICES = "outbox", "services"
HISTORY = History(1, timedelta(minutes=5))


def operation_tasks(realtime: Realtime, outbox: Outbox, checks: Checks) -> TaskGroup:
    """The task group `operation`, whose tasks publish the state from one process."""
    group, channels = TaskGroup("operation"), Channels("operation", history=HISTORY)
    realtime.add(channels)

    @channels.authorize
    def may_read(principal: Principal, rest: str) -> Grant | None:
        if rest not in (OUTBOX, SERVICES) or not principal.may(OperationPermission.READ):
            return None
        last = realtime.history(channels.channel(rest), 1).publications
        return Grant(data=json.loads(last[0].data) if last else None)

    def publish(name: str, state: dict[str, Any]) -> None:
        realtime.publish(channels.channel(name), {"at": utc_now().isoformat(), **state})

    @group.periodic(OUTBOX, every=timedelta(seconds=5))
    def publish_outbox(_: TaskContext) -> None:
        """Publish the figures of the outbox."""
        publish(OUTBOX, outbox_figures(outbox))

    @group.periodic(SERVICES, every=timedelta(seconds=15))
    def publish_services(_: TaskContext) -> None:
        """Publish what `/readyz` says in this process."""
        publish(SERVICES, readiness(checks).model_dump(mode="json"))

    return group
