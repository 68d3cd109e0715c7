#!/bin/sh
# nginx as one process: writes its configuration to a folder of its own and becomes it.
set -eu
address=${1:-127.0.0.1:8080}
command -v nginx >/dev/null || { echo "nginx is not installed" >&2; exit 127; }
folder=${TMPDIR:-/tmp}/compare-nginx-$(id -u)
mkdir -p "$folder"
cat >"$folder/nginx.conf" <<CONF
daemon off;
master_process off;
pid $folder/pid;
error_log stderr crit;
worker_rlimit_nofile 20000;
events { worker_connections 19000; multi_accept on; }
http {
    access_log off;
    keepalive_requests 1000000000;
    default_type text/plain;
    client_body_temp_path $folder/body;
    proxy_temp_path $folder/proxy;
    fastcgi_temp_path $folder/fastcgi;
    uwsgi_temp_path $folder/uwsgi;
    scgi_temp_path $folder/scgi;
    server {
        listen $address backlog=4096 deferred;
        location = /plaintext { return 200 "Hello, World!"; }
        location = /json { default_type application/json; return 200 '{"message":"Hello, World!"}'; }
    }
}
CONF
echo "listening on http://$address"
exec nginx -p "$folder" -c "$folder/nginx.conf" -e stderr
