# ./dev bench compile: what it costs to compile against tenon, beside libpqxx alone. Sourced by ./dev.
#
# User and system seconds of the compiler, without ccache. The two files alternate, so that a slow moment of the
# machine meets both; the median of seven counts.

: "${CXX:=g++}"

bench_compile() {
    local rounds=7 level name round seconds bar=2.0
    local -A times median
    echo "compile time, user + system seconds, median of $rounds, $("$CXX" --version | head -n 1)"
    printf '%-14s %8s %8s\n' "" -O0 -O2
    for level in -O0 -O2; do
        for ((round = 0; round <= rounds; round++)); do
            for name in pqxx_only ten_records; do
                seconds=$(compile_once "$name" "$level") || die "benchmarks/compile/$name.cpp does not compile"
                # The first round only warms the page cache.
                [ "$round" -eq 0 ] || times[$name$level]+="$seconds "
            done
        done
        for name in pqxx_only ten_records; do
            median[$name$level]=$(tr ' ' '\n' <<<"${times[$name$level]% }" | sort -n | sed -n $((rounds / 2 + 1))p)
        done
        median[ratio$level]=$(awk -v a="${median[ten_records$level]}" -v b="${median[pqxx_only$level]}" \
            'BEGIN { printf "%.2f", a / b }')
    done
    for name in pqxx_only ten_records ratio; do
        printf '%-14s %8s %8s\n' "$name" "${median[$name-O0]}" "${median[$name-O2]}"
    done
    mkdir -p bench-report
    {
        echo '['
        for level in -O0 -O2; do
            for name in pqxx_only ten_records; do
                printf '  {"name": "%s %s", "value": %s, "unit": "s", "bar": null, "holds": null},\n' \
                    "$name" "$level" "${median[$name$level]}"
            done
            printf '  {"name": "ten_records / pqxx_only %s", "value": %s, "unit": "ratio", "bar": %s, "holds": %s}%s\n' \
                "$level" "${median[ratio$level]}" "$bar" \
                "$(awk -v r="${median[ratio$level]}" -v b=$bar 'BEGIN { print (r <= b) ? "true" : "false" }')" \
                "$([ "$level" = -O0 ] && echo ,)"
        done
        echo ']'
    } >bench-report/compile.json
    echo "the bar: ten_records within ${bar}x; written to bench-report/compile.json"
}

compile_once() {
    local TIMEFORMAT='%U %S' spent
    spent=$({ time "$CXX" -std=c++20 "$2" @build/release/benchmarks/tenon_pqxx_interop.flags \
        @build/release/benchmarks/tenon.flags -c "benchmarks/compile/$1.cpp" -o /dev/null >&2; } 2>&1) ||
        { echo "$spent" >&2; return 1; }
    awk 'END { printf "%.2f", $1 + $2 }' <<<"$spent"
}
