# How ./dev speaks: short lines on stderr, elapsed time while a quiet command runs, one sentence at the end.

say() { printf '== %s\n' "$*" >&2; }

die() {
    printf 'dev: %s\n' "$*" >&2
    exit 1
}

# step <what> <command...>: runs a command whose output nobody wants to read. Shows elapsed seconds; when it
# fails, shows the end of its log and returns its status, so that the caller can name the remedy.
step() {
    local what=$1 log=build/dev.log start=$SECONDS shown=0 pid status=0
    shift
    mkdir -p build
    printf '== %s ...' "$what" >&2
    "$@" >"$log" 2>&1 </dev/null &
    pid=$!
    while kill -0 "$pid" 2>/dev/null; do
        sleep 0.2
        if [ $((SECONDS - start)) -ge $((shown + 5)) ]; then
            shown=$((SECONDS - start))
            printf ' %ds' "$shown" >&2
        fi
    done
    wait "$pid" || status=$?
    if [ "$status" -eq 0 ]; then
        printf ' done (%ds)\n' $((SECONDS - start)) >&2
    else
        printf ' failed (%ds)\n' $((SECONDS - start)) >&2
        tail -n 12 "$log" | sed 's/^/   | /' >&2
    fi
    return "$status"
}
