#!/bin/sh
# Exits with 0 if the application's account can sign in and use its database, through the network:
# the server of the very first start, which listens on its socket alone, does not count.
set -eu
[ ! -r /run/secrets/mysql_password ] || MYSQL_PASSWORD=$(cat /run/secrets/mysql_password)
quoted=$(printf %s "$MYSQL_PASSWORD" | sed 's/[\\"]/\\&/g')
printf '[client]\nprotocol=tcp\nhost=127.0.0.1\nport=3306\nuser="%s"\npassword="%s"\nconnect-timeout=2\n' \
    "$MYSQL_USER" "$quoted" |
    mysql --defaults-extra-file=/dev/stdin --silent --skip-column-names \
        --execute 'SELECT 1' "$MYSQL_DATABASE" >/dev/null
