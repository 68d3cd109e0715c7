#!/bin/sh
# nginx as one process: writes its configuration to the folder of its second argument and becomes it. The third is
# `tls`, or a level of gzip.
set -eu
address=$1 folder=$2
case $3 in
tls) server="listen $address ssl backlog=4096; ssl_certificate $folder/cert.pem; ssl_certificate_key $folder/key.pem;
        ssl_protocols TLSv1.2 TLSv1.3; location / { return 200 'Hello, World!'; }" ;;
*) server="listen $address backlog=4096; root $folder; default_type application/json;
        gzip on; gzip_types application/json; gzip_comp_level $3; open_file_cache max=10;" ;;
esac
cat >"$folder/nginx.conf" <<CONF
daemon off; master_process off; pid $folder/pid; error_log stderr crit; worker_rlimit_nofile 20000;
events { worker_connections 9000; multi_accept on; }
http {
    access_log off; keepalive_requests 1000000000; default_type text/plain;
    client_body_temp_path $folder/body; proxy_temp_path $folder/proxy; fastcgi_temp_path $folder/fastcgi;
    uwsgi_temp_path $folder/uwsgi; scgi_temp_path $folder/scgi;
    server { $server }
}
CONF
exec nginx -p "$folder" -c "$folder/nginx.conf" -e stderr
