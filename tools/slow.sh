# ./dev slow [rounds] [ctest args]: the tests as on a slow machine. Sourced by ./dev.
#
# All of a round (ctest, the tests, their servers) is bound to one core, beside two busy loops on the same: it gets a
# third of a core. A test that depends on the machine's speed turns red here.

slow() {
    local rounds=1 core round green=0 rows=() start log counts failed
    if [[ ${1:-} =~ ^[0-9]+$ ]]; then
        rounds=$1
        shift
    fi
    have taskset || die "binding to a core needs taskset, of util-linux"
    prepare_tests dev test ""
    servers_in_memory
    core=$(taskset -pc $$ | sed -E 's/.*: ([0-9]+).*/\1/') # the first that is allowed
    trap 'kill "${slow_loops[@]}" 2>/dev/null || true' EXIT
    slow_loops=()
    for ((round = 0; round < 2; round++)); do
        taskset -c "$core" bash -c 'while kill -0 "$PPID"; do for ((i = 0; i < 1000000; i++)); do :; done; done' 2>/dev/null &
        slow_loops+=($!)
    done
    mkdir -p bench-report
    for ((round = 1; round <= rounds; round++)); do
        log=build/dev/slow-$round.log start=$SECONDS
        taskset -c "$core" ctest --test-dir build/dev -j 2 --output-on-failure --no-tests=error "$@" >"$log" 2>&1 || true
        counts=$(tests_counted "$log")
        [ -n "$counts" ] || die "ctest ran no test; its words are in $log"
        failed=${counts% *}
        [ "$failed" -gt 0 ] || green=$((green + 1))
        echo "round $round: $((${counts#* } - failed)) passed, $failed failed, $((SECONDS - start)) s"
        [ "$failed" -eq 0 ] || sed -n '/^The following tests FAILED:/,$p' "$log"
        rows+=("{\"name\": \"round $round: failed\", \"value\": $failed, \"unit\": \"tests\", \"bar\": 0, \"holds\": $([ "$failed" -eq 0 ] && echo true || echo false)}"
            "{\"name\": \"round $round: wall time\", \"value\": $((SECONDS - start)), \"unit\": \"s\", \"bar\": null, \"holds\": null}")
        write_slow_report # after each: rounds are long
    done
    say "green in $green of $rounds rounds; written to bench-report/slow.json, the tests' words are in build/dev/slow-*.log"
    [ "$green" -eq "$rounds" ]
}

write_slow_report() {
    local i
    {
        echo '['
        for ((i = 0; i < ${#rows[@]}; i++)); do
            printf '  %s%s\n' "${rows[i]}" "$([ $((i + 1)) -lt ${#rows[@]} ] && echo ,)"
        done
        echo ']'
    } >bench-report/slow.json
}
