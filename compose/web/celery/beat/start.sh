#!/bin/sh
# Sends periodic tasks when they are due. Start as many as you like: one acts, the others wait to
# replace it.
set -eu

exec python -m celery --quiet --app app.worker beat
