# Sourced once by the image's entrypoint, as the volume is made: lets the application's account load a
# backup beside its tables.
# shellcheck shell=bash
docker_process_sql <<<"GRANT ALL ON \`${MYSQL_DATABASE//_/\\_}\\_restore\\_%\`.* TO '$MYSQL_USER'@'%'"
