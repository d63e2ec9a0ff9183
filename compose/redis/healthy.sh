#!/bin/sh
# Exits with 0 if Redis answers and takes writes, by its password.
set -eu
[ ! -r /run/secrets/redis_password ] || REDIS_PASSWORD=$(cat /run/secrets/redis_password)
REDISCLI_AUTH=$REDIS_PASSWORD
export REDISCLI_AUTH
[ "$(redis-cli set health 1 EX 60)" = OK ]
