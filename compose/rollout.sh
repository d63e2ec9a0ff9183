#!/usr/bin/env bash
# Puts a new release in place of the running one without losing a request:
# migrates while the old one serves (expand first, contract in a later release), starts as many new
# web containers beside the old ones, and stops the old ones one after the other.
# Usage: compose/rollout.sh          builds the image from this checkout
#        APP_IMAGE=registry/strongback:1.2 compose/rollout.sh --pull     fetches it
set -euo pipefail
cd "$(dirname "$0")/.."

compose() { docker compose "$@"; }
say() { printf '==> %s\n' "$*"; }

case ${1:-} in
--pull) say "Fetching the image" && compose pull --quiet migrate ;;
'') say "Building the image" && compose build --quiet migrate ;;
*) echo "usage: compose/rollout.sh [--pull]" >&2 && exit 2 ;;
esac

mapfile -t old < <(compose ps --quiet web)
count=${#old[@]}
if ((count == 0)); then
    echo "No web container runs here: start the stack by docker compose up -d --wait" >&2
    exit 1
fi

say "Migrating"
compose run --rm --no-deps migrate

say "Starting $count new beside $count old"
compose up --detach --no-deps --no-recreate --no-build --scale web=$((2 * count)) --wait web
sleep 3 # Nginx looks the names up once a second

for container in "${old[@]}"; do
    say "Stopping ${container:0:12}"
    docker stop "$container" >/dev/null # SIGTERM: it finishes its requests
    docker rm "$container" >/dev/null
done

say "Replacing what serves nobody directly"
compose up --detach --no-build --scale web="$count" --wait
