#!/bin/sh
# uWebSockets in C++, from the folder $UWEBSOCKETS with the source trees uWebSockets and uSockets. Neither is a
# package, so this server is left out without that folder.
set -eu
program=$TARGET/features-uwebsockets
source=$(dirname "$0")/uwebsockets.cpp
if [ ! "$program" -nt "$source" ]; then
    sockets=${UWEBSOCKETS:?is not set, see uwebsockets.sh}/uSockets/src
    objects=$(mktemp -d)
    # Its own Makefile's flags, without TLS and compression.
    (cd "$objects" && cc -O3 -flto -DLIBUS_NO_SSL -I"$sockets" -c "$sockets"/*.c "$sockets"/eventing/*.c)
    g++ -O3 -flto=auto -std=c++2b -DLIBUS_NO_SSL -DUWS_NO_ZLIB -I"$sockets" -I"$UWEBSOCKETS/uWebSockets/src" \
        "$source" "$objects"/*.o -o "$program"
    rm -r "$objects"
fi
exec "$program" "$1"
