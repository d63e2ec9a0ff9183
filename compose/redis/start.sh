#!/bin/sh
# Starts Redis with the password from the environment, which no process list shows.
set -eu
[ ! -r /run/secrets/redis_password ] || REDIS_PASSWORD=$(cat /run/secrets/redis_password)
umask 077
quoted=$(printf %s "$REDIS_PASSWORD" | sed 's/[\\"]/\\&/g')
printf 'include /etc/strongback/redis.conf\nrequirepass "%s"\n' "$quoted" >/tmp/redis.conf
exec redis-server /tmp/redis.conf
