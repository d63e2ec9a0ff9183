#!/bin/bash
# Exits with 0 if Nginx answers. The image has no HTTP client that is sure to be there; bash is.
: "${NGINX_LISTEN:=8000}"
exec 3<>/dev/tcp/127.0.0.1/"${NGINX_LISTEN##*:}" || exit 1
printf 'GET /nginx-health HTTP/1.0\r\n\r\n' >&3
read -r -t 3 answer <&3
[[ $answer == *' 200 '* ]]
