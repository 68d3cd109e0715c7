#!/bin/sh
# Go, built once.
set -eu
program=$TARGET/features-go
source=$(dirname "$0")/go.go
[ "$program" -nt "$source" ] || go build -o "$program" "$source"
GOMAXPROCS=1 exec "$program" "$@"
