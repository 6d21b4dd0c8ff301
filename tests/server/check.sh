#!/bin/sh
# The shared server goes with whoever asked for it, however that ends, and not while somebody else uses it.
# usage: check.sh TENON_TEST_SERVER FOLDER      Each `sh` below is in ctest's place.
set -eu
server=$1 folder=$2
export server folder
rm -rf "$folder"
mkdir "$folder"

eventually() {
    looks=0
    until "$@"; do
        looks=$((looks + 1))
        [ "$looks" -lt 1200 ] || { echo "not within two minutes: $*"; exit 1; }
        sleep 0.1
    done
}
gone() { [ ! -e "$folder/url" ]; }
there() { [ -e "$1" ]; }

sh -c '"$server" start "$folder" && cp "$folder/url" "$folder/first" && kill -9 $$' || true
[ -s "$folder/first" ] || { echo "no server was started"; exit 1; }
eventually gone

sh -c '"$server" start "$folder" && touch "$folder/started" && while [ ! -e "$folder/enough" ]; do sleep 0.05; done' &
eventually there "$folder/started"
sh -c '"$server" start "$folder" && "$server" stop "$folder"; true'
! gone || { echo "it went while somebody used it"; exit 1; }
cmp -s "$folder/url" "$folder/first" && { echo "a new server has an old one's place"; exit 1; }
touch "$folder/enough"
wait
eventually gone
