#!/bin/sh
# Shows workers and tasks, to those who know FLOWER_USER and FLOWER_PASSWORD; refuses to start
# without a password. Settings, all optional:
#   FLOWER_ADDRESS        address to listen on
#   FLOWER_PORT           port to listen on
#   FLOWER_URL_PREFIX     path under which a proxy serves it
# Tasks appear for workers that were started with WORKER_EVENTS=true.
set -eu

# Flower signs nothing and gets no key; production refuses to start without one.
: "${APP_SECRET_KEY:=$(head -c 48 /dev/urandom | base64)}"
export APP_SECRET_KEY
export FLOWER_ADDRESS="${FLOWER_ADDRESS:-127.0.0.1}"
export FLOWER_PORT="${FLOWER_PORT:-5555}"
exec python -m celery --quiet --app app.worker flower
