#!/bin/sh
# Installs PostgreSQL and Redis from Debian's packages where they are missing.
set -eu

missing=""
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || command -v postgres >/dev/null || missing="postgresql"
command -v redis-server >/dev/null || missing="${missing:+$missing }redis-server"
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "Install PostgreSQL and Redis first: the tests need the commands initdb and redis-server." >&2
    exit 1
fi
sudo=$([ "$(id -u)" -eq 0 ] || echo sudo)
echo "Installing $missing ..."
$sudo apt-get update -qq
# shellcheck disable=SC2086  # Several packages.
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
