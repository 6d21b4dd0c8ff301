#!/usr/bin/env bash
# ./dev bench instructions: what the client executes per item, counted by callgrind. Run by ./dev on a server.
#
# Each contender of access_bench runs once and twice in a process of its own, with instrumentation on around the work
# only; the difference is one run, free of what happens once. Counts are of this process: the server does not count.
# usage: tools/bench_instructions.sh PROGRAM [TEXT]     TEXT: only comparisons whose name holds it
set -euo pipefail

program=$1 only=${2:-}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"; "$program" --drop' EXIT

# counted <comparison> <contender> <runs>: instructions collected.
counted() {
    valgrind --tool=callgrind --instr-atstart=no --callgrind-out-file="$scratch/out" \
        "$program" --instructions "$1" "$2" "$3" >"$scratch/log" 2>&1 ||
        { cat "$scratch/log" >&2; return 1; }
    sed -nE 's/^totals: ([0-9]+).*/\1/p' "$scratch/out"
}

# What is asked of a contender, to the first of its comparison.
bar_of() {
    case "$1/$2" in
        "point select by key/tenon") echo 1.08 ;;
        "10,000 rows into a vector/tenon") echo 1.07 ;;
        "insert returning the row/tenon" | "100,000 rows in/tenon copy_in") echo 1.15 ;;
        *) echo null ;;
    esac
}

"$program" --make
"$program" --list >"$scratch/list"
rows=() last=
while IFS=$'\t' read -r comparison contender items <&3; do
    [[ $comparison == *"$only"* ]] || continue
    [ "$comparison" = "$last" ] || printf '\n%s\n  %-26s %12s %8s\n' "$comparison" "" "Ir per item" ratio
    once=$(counted "$comparison" "$contender" 1)
    twice=$(counted "$comparison" "$contender" 2)
    value=$(((twice - once) / items))
    [ "$comparison" = "$last" ] || reference=$value
    last=$comparison
    ratio=$(awk -v a="$value" -v b="$reference" 'BEGIN { printf "%.3f", a / b }')
    bar=$(bar_of "$comparison" "$contender") holds=null verdict=
    if [ "$bar" != null ]; then
        holds=$(awk -v r="$ratio" -v b="$bar" 'BEGIN { print (r <= b) ? "true" : "false" }')
        verdict="<= $bar  $([ "$holds" = true ] && echo holds || echo MISSED)"
    fi
    printf '  %-26s %12s %8s   %s\n' "$contender" "$value" "$ratio" "$verdict"
    rows+=("{\"name\": \"$comparison: $contender\", \"value\": $value, \"unit\": \"instructions per item\", \"bar\": null, \"holds\": null}")
    rows+=("{\"name\": \"instructions, $comparison: $contender / first\", \"value\": $ratio, \"unit\": \"ratio\", \"bar\": $bar, \"holds\": $holds}")
done 3<"$scratch/list"

mkdir -p bench-report
{
    echo '['
    for ((i = 0; i < ${#rows[@]}; i++)); do
        printf '  %s%s\n' "${rows[i]}" "$([ $((i + 1)) -lt ${#rows[@]} ] && echo ,)"
    done
    echo ']'
} >bench-report/instructions.json
echo
echo "written to bench-report/instructions.json"
