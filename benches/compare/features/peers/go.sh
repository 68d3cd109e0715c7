#!/bin/sh
# Go, built once.
set -eu
program=$TARGET/features-go
source=$(dirname "$0")/go.go
[ "$source" -nt "$program" ] && go build -o "$program" "$source"
GOMAXPROCS=1 exec "$program" "$@"
