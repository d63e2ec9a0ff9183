#!/bin/sh
# Runs tasks. Settings, all optional:
#   WORKER_QUEUES         queues to take from, separated by commas; all of them by default
#   WORKER_CONCURRENCY    tasks at once; a process for each. Default: 2
#   WORKER_POOL           prefork (processes) or threads
#   WORKER_MAX_TASKS      tasks after which a process is replaced: a bound on slow leaks
#   WORKER_MAX_MEMORY     KiB after which it is replaced
#   WORKER_EVENTS         true sends an event for each task, which Flower shows
# The worker stops on SIGTERM within TASK_STOP_TIMEOUT seconds.
set -eu

set -- --concurrency "${WORKER_CONCURRENCY:-2}" --pool "${WORKER_POOL:-prefork}"
[ -z "${WORKER_QUEUES:-}" ] || set -- "$@" --queues "$WORKER_QUEUES"
if [ "${WORKER_POOL:-prefork}" = prefork ]; then
    set -- "$@" --max-tasks-per-child "${WORKER_MAX_TASKS:-10000}"
    [ -z "${WORKER_MAX_MEMORY:-}" ] || set -- "$@" --max-memory-per-child "$WORKER_MAX_MEMORY"
fi
[ "${WORKER_EVENTS:-false}" != true ] || set -- "$@" --task-events

exec python -m celery --quiet --app app.worker worker "$@"
