"""The part `task`: what an application registers to have tasks."""

from __future__ import annotations

from strongback import redis
from strongback.app import Strongback
from strongback.task.declaration import TaskRegistry
from strongback.task.dispatcher import Dispatcher
from strongback.task.job import Jobs
from strongback.task.lease import Leases
from strongback.task.maintenance import maintenance_tasks
from strongback.task.runner import Runner
from strongback.task.runtime import TaskRuntime
from strongback.task.view import api, outbox_figures, outbox_gauges


def register(app: Strongback, url_prefix: str) -> TaskRegistry:
    """Run what the outbox delivers, and serve `/tasks` below a prefix.

    Slices add their groups of tasks to the registry that this returns and provides.
    """
    outbox, settings = app.outbox, app.settings
    registry, jobs = TaskRegistry(outbox), Jobs(app.database, outbox)
    runner, leases = Runner(registry, outbox, jobs), Leases(app.database)
    runtime = TaskRuntime(settings, registry, runner, leases, app.app_context)
    dispatcher = Dispatcher(runtime, outbox)
    app.background.add(dispatcher)
    app.provide(registry, jobs, runner, leases, dispatcher)
    app.before_start(lambda: registry.add(maintenance_tasks(app.services)))
    app.before_start(lambda: app.expect_services(*(each.function.__module__ for each in registry)))
    app.register_api(api, url_prefix=f"{url_prefix}/tasks")
    app.checks.add("outbox", lambda: outbox_figures(outbox), title="The outbox", needs="migrations")
    app.gauges.append(lambda: outbox_gauges(outbox))
    if settings.celery_broker_url:
        # Connects when it is asked.
        broker = redis.RedisClient(redis.connect(settings.celery_broker_url, connections=1))
        app.checks.add(
            "broker",
            broker.ping,
            title="The broker of the tasks",
            remedy="See that it runs, and that CELERY_BROKER_URL has its address and password",
        )
    return registry
