# ./dev fuzz [seconds]: libFuzzer on every decoder, a family of them on the same inputs, two families at a time.
# Sourced by ./dev.
#
# What libFuzzer finds on its way stays in build/fuzz/found/<family>/ and is where the next run begins; crashes are
# kept in build/fuzz/crashes/. The corpus in fuzz/corpus is read and never written.

fuzz() {
    local seconds=${1:-600} families family crashes=0 total=0
    [[ $seconds =~ ^[1-9][0-9]*$ ]] || die "fuzz takes the seconds for each family of decoders, not '$seconds'"
    setup asan
    configured fuzz "" || configure fuzz
    build fuzz tenon_fuzzers
    mapfile -t families < <(sed -nE 's/^    decoder<"([a-z]+)".*/\1/p' fuzz/decoders.hpp | sort -u)
    rm -rf build/fuzz/logs
    mkdir -p build/fuzz/{logs,crashes,found} bench-report
    say "${#families[@]} families of decoders, $seconds s each, two at a time: about $(((${#families[@]} + 1) / 2 * seconds / 60 + 1)) min"
    printf '%s\n' "${families[@]}" | xargs -P 2 -I {} bash -c 'fuzz_one "$@"' _ {} "$seconds"

    printf '%-18s %14s %8s\n' family executions crashes
    for family in "${families[@]}"; do
        local executions failed=0
        executions=$(sed -nE 's/^stat::number_of_executed_units: *([0-9]+)$/\1/p' "build/fuzz/logs/$family")
        [ "$(cat "build/fuzz/logs/$family.status")" = 0 ] || failed=1
        printf '%-18s %14s %8s\n' "$family" "${executions:=0}" "$failed"
        crashes=$((crashes + failed)) total=$((total + executions))
        fuzz_row "$family executions" "$executions" executions null null
        fuzz_row "$family crashes" "$failed" crashes 0 "$([ "$failed" = 0 ] && echo true || echo false)"
    done >build/fuzz/table 3>build/fuzz/rows
    cat build/fuzz/table
    {
        echo '['
        cat build/fuzz/rows
        printf '  {"name": "seconds per family", "value": %s, "unit": "s", "bar": 600, "holds": %s}\n]\n' \
            "$seconds" "$([ "$seconds" -ge 600 ] && echo true || echo false)"
    } >bench-report/fuzz.json
    echo "$total executions, $crashes of ${#families[@]} families with a crash; written to bench-report/fuzz.json"
    [ "$crashes" = 0 ] || die "crashing inputs are in build/fuzz/crashes, what happened in build/fuzz/logs"
}

fuzz_row() {
    printf '  {"name": "%s", "value": %s, "unit": "%s", "bar": %s, "holds": %s},\n' "$@" >&3
}

fuzz_one() {
    local status=0 corpus
    mkdir -p "build/fuzz/found/$1"
    mapfile -t corpus < <(sed -nE 's|^    decoder<"'"$1"'", "([a-z0-9_]+)".*|fuzz/corpus/\1|p' fuzz/decoders.hpp)
    "build/fuzz/fuzz/fuzz_$1" -max_total_time="$2" -print_final_stats=1 -rss_limit_mb=1024 -malloc_limit_mb=256 \
        -timeout=10 -artifact_prefix="build/fuzz/crashes/$1-" "build/fuzz/found/$1" "${corpus[@]}" \
        >"build/fuzz/logs/$1" 2>&1 || status=$?
    echo "$status" >"build/fuzz/logs/$1.status"
}
export -f fuzz_one
