#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
# SPDX-License-Identifier: MIT
#
# Looks for inputs that break a rule: builds the fuzzers with Clang and runs each, beginning with the kept corpus.
#
# usage: tests/fuzz/run.sh [--seconds N] [--target NAME] [--minimize] [--help]
#
#   --seconds N    for each target, 20 if not given
#   --target NAME  only this one: frame_decoder, message_batch, message_reader, pipe_connection or pipe_name
#   --minimize     replace the kept corpus by the least that covers as much, with what was found now
#
# The last line is "N passed, M failed", counted in targets. Inputs that break a rule, crash, leak, or take too much time
# or memory are kept in build/fuzz/findings.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=../../tools/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../tools/setup.sh"

seconds=20
targets=(frame_decoder message_batch message_reader pipe_connection pipe_name)
minimize=no
while [ $# -gt 0 ]; do
    case $1 in
        --seconds)
            seconds=${2:?--seconds needs a number}
            shift
            ;;
        --target)
            [[ " ${targets[*]} " == *" ${2:?--target needs a name} "* ]] || die "no target $2"
            targets=("$2")
            shift
            ;;
        --minimize) minimize=yes ;;
        -h | --help)
            sed -n '5,14s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
            exit 0
            ;;
        *) die "what is $1?" ;;
    esac
    shift
done
[[ $seconds =~ ^[1-9][0-9]*$ ]] || die "--seconds needs a number, not '$seconds'"

need_native_packages
need_packages "to fuzz" clang
build_preset fuzz "${targets[@]/#/fuzz_}"

export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
build=$source_dir/build/fuzz
findings=$build/findings
mkdir -p "$findings"
passed=0
failed=0
for target in "${targets[@]}"; do
    say "$target: $seconds seconds"
    program=$build/bin/fuzz_$target
    kept=$source_dir/tests/fuzz/corpus/$target
    grown=$build/corpus/$target # what this run adds is left here
    mkdir -p "$kept" "$grown"
    if "$program" -max_total_time="$seconds" -max_len=1024 -timeout=10 -report_slow_units=5 -rss_limit_mb=1024 \
        -print_final_stats=1 -verbosity=1 -artifact_prefix="$findings/$target-" "$grown" "$kept" \
        >"$build/$target.log" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        tail -n 40 "$build/$target.log"
    fi
    grep -E '^#[0-9]+.*DONE|^stat::number_of_executed_units' "$build/$target.log" || true
    if [ $minimize = yes ]; then
        least=$(mktemp -d "$build/least.XXXXXX")
        # Shorter inputs come first, and few kilobytes are enough of them.
        "$program" -merge=1 -max_len=256 "$least" "$kept" "$grown" >"$build/$target-merge.log" 2>&1
        # Those with a name of their own are of bugs that were mended, and stay.
        find "$kept" -type f -regextype posix-extended -regex '.*/[0-9a-f]{40}' -delete
        find "$least" -type f -printf '%s %p\n' | sort -n | head -n 100 | while read -r _ file; do
            cp "$file" "$kept/"
        done
        rm -rf "$least"
    fi
done
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
