#!/bin/sh
# Sends periodic tasks when they are due. Start as many as you like: one acts, the others wait to
# replace it.
set -eu

# Beat signs nothing and gets no key; production refuses to start without one.
: "${APP_SECRET_KEY:=$(head -c 48 /dev/urandom | base64)}"
export APP_SECRET_KEY
exec python -m celery --quiet --app app.worker beat
