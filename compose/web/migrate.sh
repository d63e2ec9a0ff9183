#!/bin/sh
# Brings the schema up to date, and puts the static files where Nginx reads them. Runs once, before
# everything else of a release starts. Files of earlier releases stay for a week: pages that are open
# still ask for them.
set -eu
# A migration signs nothing and gets no key; production refuses to start without one.
: "${APP_SECRET_KEY:=$(head -c 48 /dev/urandom | base64)}"
export APP_SECRET_KEY
flask db upgrade
flask static build --to /srv/static --prune 7d
