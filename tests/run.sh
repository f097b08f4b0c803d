#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
# SPDX-License-Identifier: MIT
#
# Builds and runs the tests, from nothing: installs what is missing, configures, builds, runs, counts.
#
# usage: tests/run.sh [--native] [--sanitizers] [--windows] [--extras] [--all] [--filter REGEX] [--repeat N] [--help]
#
#   --native        Debug build on this system (the default)
#   --sanitizers    with AddressSanitizer + UndefinedBehaviorSanitizer, and with ThreadSanitizer
#   --windows       cross-built with MinGW-w64, under Wine
#   --extras        what is no Qt Test suite: the documentation, licences, a short search by the fuzzers, packages and
#                   their users on both systems, and that the benchmarks run
#   --all           all of these
#   --filter REGEX  only suites whose name matches (as ctest -R)
#   --repeat N      run each suite N times
#
# ThreadSanitizer and Windows need a Qt of their own: the folder in QTNAMEDPIPES_TSAN_QT or QTNAMEDPIPES_WINDOWS_QT, or
# one that is built once and kept in the user's cache.
#
# The last line is "N passed, M failed", counted in test functions (data rows) of Qt Test; a suite that crashed, hung,
# leaked or printed no totals is one failure more. The exit code is 0 only if something ran and nothing failed.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=../tools/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tools/setup.sh"

usage() {
    sed -n '5,22s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
}

presets=()
extras=no
filter=.
repeat=1
while [ $# -gt 0 ]; do
    case $1 in
        --native) presets+=(dev) ;;
        --sanitizers) presets+=(asan tsan) ;;
        --windows) presets+=(windows-mingw) ;;
        --extras) extras=yes ;;
        --all)
            presets+=(dev asan tsan windows-mingw)
            extras=yes
            ;;
        --filter)
            filter=${2:?--filter needs a regular expression}
            shift
            ;;
        --repeat)
            repeat=${2:?--repeat needs a number}
            shift
            ;;
        -h | --help)
            usage
            exit 0
            ;;
        *)
            echo "what is $1?" >&2
            usage >&2
            exit 2
            ;;
    esac
    shift
done
[[ $repeat =~ ^[1-9][0-9]*$ ]] || die "--repeat needs a number, not '$repeat'"
[ ${#presets[@]} -gt 0 ] || [ $extras = yes ] || presets=(dev)

passed=0
failed=0
table=()   # a line for each configuration
skips=()   # a line for each test that was skipped, with the reason
trouble=() # a line for each suite that failed

# totals_of LOG prints "passed failed skipped", nothing if the log has no totals.
totals_of() {
    [ -f "$1" ] || return 0
    tr -d '\r' <"$1" | sed -n 's/^Totals: \([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped.*/\1 \2 \3/p' |
        awk '{ p += $1; f += $2; s += $3 } END { if (NR) print p, f, s }'
}

# skips_in PRESET LOG... prints, for each reason, what it has left out.
skips_in() {
    local preset=$1
    shift
    cat -- "$@" 2>/dev/null | tr -d '\r' | sed -n 's/^SKIP   : \([A-Za-z_]*\)::\([A-Za-z0-9_]*\)([^)]*) /\1::\2(): /p' |
        sort | uniq -c | sed "s/^ *\([0-9]*\) /$preset \1 x /"
}

# count_suites PRESET LOG_DIR SUITE... adds up one run of the suites.
count_suites() {
    local preset=$1 log_dir=$2 suite status totals p f s
    shift 2
    for suite in "$@"; do
        status=$(cat "$log_dir/$suite.status" 2>/dev/null || echo none)
        totals=$(totals_of "$log_dir/$suite.txt")
        read -r p f s <<<"${totals:-0 0 0}"
        if [ -z "$totals" ]; then
            f=1
            trouble+=("$preset $suite: no totals (exit code $status)")
        elif [ "$f" -gt 0 ]; then
            trouble+=("$preset $suite: $f failed")
        elif [ "$status" != 0 ]; then
            f=1
            trouble+=("$preset $suite: exit code $status, although every test passed")
        fi
        run_passed=$((run_passed + p))
        run_failed=$((run_failed + f))
        run_skipped=$((run_skipped + s))
    done
}

# stress_of PRESET prints how much of the stress sizes is right for it, in percent: a sanitizer makes everything several
# times slower, and under Wine each call is a round trip to another process.
stress_of() {
    case $1 in
        asan | tsan) echo 20 ;;
        windows-mingw) echo 10 ;;
        *) echo 100 ;;
    esac
}

test_preset() {
    local preset=$1 suites=() round log_dir stress began=$SECONDS
    run_passed=0 run_failed=0 run_skipped=0
    stress=${QTNAMEDPIPES_STRESS:-$(stress_of "$preset")}

    say "$preset: build"
    if ! build_preset "$preset"; then
        trouble+=("$preset: does not build")
        run_failed=1
    else
        mapfile -t suites < <(cd "$source_dir" && ctest --preset "$preset" -N -R "$filter" |
            sed -n 's/^ *Test *#[0-9]*: //p')
        for ((round = 1; round <= repeat; round++)); do
            say "$preset: ${#suites[@]} suites$([ "$repeat" -eq 1 ] || echo ", round $round of $repeat")"
            log_dir=$source_dir/build/$preset/test-logs/$round
            rm -rf "$log_dir"
            # What ctest says is for the reader; what counts is in the logs.
            (cd "$source_dir" && QTNAMEDPIPES_TEST_LOG_DIR=$log_dir QTNAMEDPIPES_STRESS=$stress \
                ctest --preset "$preset" -R "$filter") || true
            count_suites "$preset" "$log_dir" "${suites[@]}"
        done
        mapfile -t -O ${#skips[@]} skips < <(skips_in "$preset" "$log_dir"/*.txt)
        if [ ${#suites[@]} -eq 0 ]; then
            trouble+=("$preset: no suite matches '$filter'")
            run_failed=1
        fi
    fi

    table+=("$(printf '%-15s %8d %8d %8d %8d %7ds' \
        "$preset" ${#suites[@]} "$run_passed" "$run_failed" "$run_skipped" $((SECONDS - began)))")
    passed=$((passed + run_passed))
    failed=$((failed + run_failed))
}

# run_extra NAME COMMAND... counts a script: by its last line if that is "N passed, M failed", else as one test.
run_extra() {
    local name=$1 log=$source_dir/build/$1.txt status=0 p=0 f=0 began=$SECONDS
    shift
    say "$name"
    mkdir -p "$source_dir/build"
    "$@" 2>&1 | tee "$log" || status=$?
    if ! read -r p f < <(tail -n 1 "$log" | sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p'); then
        p=$((status == 0)) f=$((status != 0))
    elif [ "$status" -ne 0 ] && [ "$f" -eq 0 ]; then
        f=1
    fi
    if [ "$f" -gt 0 ]; then
        trouble+=("$name: $f failed (exit code $status)")
    fi
    table+=("$(printf '%-15s %8s %8d %8d %8s %7ds' "$name" - "$p" "$f" - $((SECONDS - began)))")
    passed=$((passed + p))
    failed=$((failed + f))
}

# However this script ends: the Wine server of this build tree ends with it, and the last line is the result.
finish() {
    local status=$?
    if [ "$wine_used" = yes ]; then
        "$source_dir/tests/support/wine-run.sh" --end
    fi
    if [ -n "$display_pid" ]; then
        kill "$display_pid" 2>/dev/null || true
    fi
    if [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then
        failed=1 # it did not come to the tests
    fi
    printf '\n%d passed, %d failed\n' "$passed" "$failed"
}
wine_used=no
display_pid=
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# A display for Windows programs with windows; it writes its number when it is ready.
start_display() {
    local output number
    need_packages "to show the windows of Windows programs" xvfb
    exec {output}< <(exec Xvfb -displayfd 1 -noreset -screen 0 1600x1200x24 -nolisten tcp 2>/dev/null)
    display_pid=$!
    read -r -t 60 -u "$output" number || die "Xvfb does not start"
    export QTNAMEDPIPES_WINE_DISPLAY=:$number
}

need_test_packages
for preset in "${presets[@]}"; do
    if [ "$preset" = tsan ]; then
        need_tsan_qt
    elif [ "$preset" = windows-mingw ]; then
        # In the build tree, so that ending its Wine server hurts nobody else.
        export QTNAMEDPIPES_WINEPREFIX=${QTNAMEDPIPES_WINEPREFIX:-$source_dir/build/windows-mingw/wine}
        need_windows_qt
        say "Preparing Wine"
        wine_used=yes
        start_display
        "$source_dir/tests/support/wine-run.sh" --prepare
    fi
    test_preset "$preset"
done
if [ $extras = yes ]; then
    run_extra docs "$source_dir/docs/build.sh"
    need_packages "to look for licences" reuse
    run_extra licences reuse --root "$source_dir" lint
    run_extra fuzz "$source_dir/tests/fuzz/run.sh" --seconds 10
    run_extra packaging "$source_dir/tests/packaging/run.sh"
    run_extra packaging-windows "$source_dir/tests/packaging/run.sh" --windows
    run_extra benchmark-tables python3 -B "$source_dir/tests/benchmarks/test_compare.py"
    run_extra benchmark "$source_dir/tests/benchmarks/run.sh" --quick --repeat 1 --rows '^(oneway-64-1|echo-64|broadcast)$'
fi

printf '\n%-15s %8s %8s %8s %8s %8s\n' configuration suites passed failed skipped time
printf '%s\n' "${table[@]}"
if [ ${#skips[@]} -gt 0 ]; then
    printf '\nSkipped:\n'
    printf '  %s\n' "${skips[@]}"
fi
if [ ${#trouble[@]} -gt 0 ]; then
    printf '\nFailed:\n'
    printf '  %s\n' "${trouble[@]}"
fi
if [ $((passed + failed)) -eq 0 ]; then
    die "no test ran"
fi
[ "$failed" -eq 0 ]
