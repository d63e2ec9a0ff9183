#!/bin/sh
# Renders nginx.conf.template from the environment, checks it, and becomes Nginx.
# Usage: start.sh [--check]     --check stops after `nginx -t`
#
#   NGINX_LISTEN          address or port for HTTP                       8000
#   NGINX_UPSTREAM        host:port of the application, several by space web:8000
#   NGINX_REALTIME        host:port of the WebSocket server, a name may stand for several; the
#                         application's own where it has none            realtime:8001
#   NGINX_UPLOAD          host:port of the process for uploads, a name may stand for several; the
#                         application's own where it has none            the application
#   NGINX_UPLOADS         uploads at the same time in all, each of which may fill NGINX_MAX_UPLOAD
#                         of the disk: 200 of 32 MiB are 6.3 GiB         200
#   NGINX_SPOOL           folder on a disk for them, that can be written NGINX_RUN
#   NGINX_FILES_ROOT      folder of the store, where it is a folder      /srv/files
#   NGINX_FLOWER          host:port of Flower                            flower:5555
#   NGINX_TLS_LISTEN      address or port for HTTPS                      8443
#   NGINX_TLS_FOLDER      folder with fullchain.pem and privkey.pem; without them no HTTPS
#                                                                        /etc/strongback/tls
#   NGINX_RATE            requests of one address before they are slowed 200r/s
#   NGINX_CONNECTIONS     requests of one address at the same time       400
#   NGINX_SOCKETS         WebSockets of one address, open and coming back at once  5000
#   NGINX_MAX_BODY        largest request body                           1048576
#   NGINX_MAX_UPLOAD      the same where files are uploaded              33554432
#   NGINX_TIMEOUT         seconds that a request may take                60
#   NGINX_TRUSTED_PROXIES networks of load balancers in front, by space  none
#   NGINX_OPERATORS       networks that may ask for /metrics, /readyz and /flower/, by space  none
#   NGINX_STATIC_ROOT     folder that holds static/                      /srv
#   NGINX_RUN             folder that can be written                     /tmp/nginx
#   NGINX_ACCESS_LOG      file of the access log                         /dev/stdout
#   NGINX_RESOLVER        name server                                    the system's first
set -eu

here=$(cd "$(dirname "$0")" && pwd)
: "${NGINX_LISTEN:=8000}" "${NGINX_UPSTREAM:=web:8000}" "${NGINX_REALTIME:=realtime:8001}"
: "${NGINX_FLOWER:=flower:5555}" "${NGINX_TLS_LISTEN:=8443}" "${NGINX_TLS_FOLDER:=/etc/strongback/tls}"
: "${NGINX_RATE:=200r/s}" "${NGINX_CONNECTIONS:=400}" "${NGINX_MAX_BODY:=1048576}" "${NGINX_TIMEOUT:=60}"
: "${NGINX_MAX_UPLOAD:=33554432}" "${NGINX_SOCKETS:=5000}"
: "${NGINX_TRUSTED_PROXIES:=}" "${NGINX_OPERATORS:=}" "${NGINX_STATIC_ROOT:=/srv}" "${NGINX_RUN:=/tmp/nginx}"
: "${NGINX_UPLOAD:=\$web}" "${NGINX_UPLOADS:=200}" "${NGINX_SPOOL:=$NGINX_RUN}" "${NGINX_FILES_ROOT:=/srv/files}"
: "${NGINX_ACCESS_LOG:=/dev/stdout}" "${NGINX_MIME_TYPES:=/etc/nginx/mime.types}"
: "${NGINX_RESOLVER:=$(awk '$1 == "nameserver" { print $2; exit }' /etc/resolv.conf 2>/dev/null || true)}"
: "${NGINX_RESOLVER:=127.0.0.11}"
case $NGINX_RESOLVER in *:*) NGINX_RESOLVER="[$NGINX_RESOLVER]" ;; esac

# As many as its connections need, unless the system allows fewer.
# shellcheck disable=SC3045  # dash and busybox have it
NGINX_FILES=$(ulimit -H -n)
case $NGINX_FILES in unlimited) NGINX_FILES=32768 ;; esac
[ "$NGINX_FILES" -le 32768 ] || NGINX_FILES=32768

version=$(nginx -v 2>&1 | sed 's|.*nginx/\([0-9.]*\).*|\1|')
is_since() { # is_since 1.25.1: whether this Nginx is that old or newer
    [ "$(printf '%s\n%s\n' "$1" "$version" | sort -t. -k1,1n -k2,2n -k3,3n | head -n 1)" = "$1" ]
}

# Addresses are fixed. A name stands for containers that come and go: Nginx follows it by itself
# since 1.27.3; before that it looks the name up for each request, and keeps no connection open.
# None is ever held for dead (max_fails=0): after a rolling restart the last one to stop would
# otherwise find all others still marked. A connection that is refused costs next to nothing.
servers=''
is_fixed=yes
for server in $NGINX_UPSTREAM; do
    case $server in
    *[!0-9.:]*) is_fixed='' servers="$servers server $server resolve max_fails=0;" ;;
    *) servers="$servers server $server max_fails=0;" ;;
    esac
done
if [ -n "$is_fixed" ] || is_since 1.27.3; then
    # What may be sent twice travels on connections that are kept, and again where one has just
    # been closed. What may not gets a connection of its own, which a stopping server never cuts.
    NGINX_UPSTREAM_BLOCK="
    upstream web {
        zone web 256k;
        $servers
        keepalive 64;
        keepalive_timeout 60s;
    }
    upstream web_once {
        zone web_once 256k;
        $servers
    }
    map \$request_method \$web { default web_once; GET web; HEAD web; OPTIONS web; }"
else
    NGINX_UPSTREAM_BLOCK="map \$request_method \$web { default ${NGINX_UPSTREAM%% *}; }"
fi

NGINX_REAL_IP='' NGINX_TRUSTED=''
for network in $NGINX_TRUSTED_PROXIES; do
    NGINX_REAL_IP="$NGINX_REAL_IP set_real_ip_from $network;"
    NGINX_TRUSTED="$NGINX_TRUSTED $network 1;"
done

NGINX_OPERATORS_LIST=''
for network in $NGINX_OPERATORS; do
    NGINX_OPERATORS_LIST="$NGINX_OPERATORS_LIST $network 1;"
done

if is_since 1.25.1; then
    NGINX_HTTP2='http2 on;' tls_options='ssl'
else
    NGINX_HTTP2='' tls_options='ssl http2'
fi
if [ -r "$NGINX_TLS_FOLDER/fullchain.pem" ] && [ -r "$NGINX_TLS_FOLDER/privkey.pem" ]; then
    NGINX_TLS="listen $NGINX_TLS_LISTEN $tls_options default_server;
        ssl_certificate $NGINX_TLS_FOLDER/fullchain.pem;
        ssl_certificate_key $NGINX_TLS_FOLDER/privkey.pem;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305;
        ssl_prefer_server_ciphers off;
        ssl_session_cache shared:tls:10m;
        ssl_session_timeout 1d;
        ssl_session_tickets off;"
else
    NGINX_TLS=''
fi

mkdir -p "$NGINX_RUN" "$NGINX_SPOOL"
export NGINX_FILES NGINX_LISTEN NGINX_UPSTREAM_BLOCK NGINX_REALTIME NGINX_FLOWER NGINX_TLS NGINX_HTTP2 NGINX_RATE \
    NGINX_CONNECTIONS NGINX_MAX_BODY NGINX_TIMEOUT NGINX_REAL_IP NGINX_TRUSTED NGINX_OPERATORS_LIST NGINX_STATIC_ROOT \
    NGINX_RUN NGINX_ACCESS_LOG NGINX_RESOLVER NGINX_MIME_TYPES NGINX_MAX_UPLOAD \
    NGINX_SOCKETS NGINX_UPLOAD NGINX_UPLOADS NGINX_SPOOL NGINX_FILES_ROOT
# Only our own names: the rest with a $ is Nginx's.
# shellcheck disable=SC2016
names=$(grep -o '\${NGINX_[A-Z0-9_]*}' "$here/nginx.conf.template" | sort -u | tr '\n' ' ')
envsubst "$names" <"$here/nginx.conf.template" >"$NGINX_RUN/nginx.conf"

nginx -t -q -e stderr -p "$NGINX_RUN" -c "$NGINX_RUN/nginx.conf"
[ "${1:-}" != --check ] || exit 0
exec nginx -e stderr -p "$NGINX_RUN" -c "$NGINX_RUN/nginx.conf" -g 'daemon off;'
