#!/bin/sh
# Brings the schema up to date, and puts the static files where Nginx reads them. Runs once, before
# everything else of a release starts. Files of earlier releases stay: their pages still ask for them.
set -eu
flask db upgrade
if [ -d app/static ]; then
    cp -R app/static/. static/
fi
