#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
# SPDX-License-Identifier: MIT
#
# Runs one Qt Test suite and keeps its log: CTest calls this for each suite.
#
# usage: run-suite.sh NAME PROGRAM [argument...]
#        run-suite.sh NAME .../wine-run.sh PROGRAM.exe [argument...]
#
# The exit code is the suite's own, but never 0 for a suite that printed no totals: a program that ends early did not pass.
#
# Environment:
#   QTNAMEDPIPES_TEST_LOG_DIR   where NAME.txt (the log) and NAME.status (the exit code) go; a temporary folder if not given
#   QTNAMEDPIPES_SUITE_TIMEOUT  seconds, default 300
#   QTNAMEDPIPES_SANITIZE       the sanitizers that the suite is built with
set -euo pipefail

if [ $# -lt 2 ]; then
    sed -n '5,8s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
name=$1
shift
seconds=${QTNAMEDPIPES_SUITE_TIMEOUT:-300}

log_dir=${QTNAMEDPIPES_TEST_LOG_DIR:-}
if [ -z "$log_dir" ]; then
    log_dir=$(mktemp -d)
    trap 'rm -rf "$log_dir"' EXIT
fi
mkdir -p "$log_dir"
log=$log_dir/$name.txt
rm -f "$log" "$log_dir/$name.status"

command=("$@")
case $1 in
    *wine-run.sh)
        # Under Wine, Qt Test writes nothing to a redirected stdout: log to a file only and show it afterwards.
        command+=(-o "Z:$log,txt")
        show_log=yes
        ;;
    *)
        command+=(-o "$log,txt" -o "-,txt")
        show_log=no
        ;;
esac

# Where the kernel moves mappings by more bits than ThreadSanitizer's shadow allows, programs and the helpers that they
# start die at random with "unexpected memory mapping". Without address randomisation they do not.
if [ "${QTNAMEDPIPES_SANITIZE:-}" = thread ]; then
    bits=$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 0)
    if [ "$bits" -gt 28 ]; then
        if setarch -R true 2>/dev/null; then
            command=(setarch -R "${command[@]}")
        else
            echo "$name: vm.mmap_rnd_bits is $bits and setarch -R is not permitted here;" \
                "if ThreadSanitizer stops with 'unexpected memory mapping': sysctl vm.mmap_rnd_bits=28"
        fi
    fi
fi

# Job control gives the suite a process group of its own (and leaves its SIGINT alone), so that a time-out or Ctrl-C
# ends the helpers that it started as well.
set -m
timeout --kill-after=10 "$seconds" "${command[@]}" </dev/null &
group=$!
set +m
trap 'kill -TERM -- "-$group" 2>/dev/null || true' INT TERM
status=0
wait "$group" || status=$?
while kill -0 "$group" 2>/dev/null; do # a trapped signal ends wait early
    status=0
    wait "$group" || status=$?
done
kill -KILL -- "-$group" 2>/dev/null || true # helpers that the suite left behind

if [ "$show_log" = yes ] && [ -f "$log" ]; then
    tr -d '\r' <"$log"
fi

case $status in
    124 | 137) echo "FAIL!  : $name was ended: not finished after $seconds seconds" ;;
    12[89] | 1[3-9][0-9]) echo "FAIL!  : $name was ended by signal $((status - 128))" ;;
esac
if ! grep -q '^Totals: ' "$log" 2>/dev/null; then
    echo "FAIL!  : $name ended with exit code $status and printed no totals"
    [ "$status" -ne 0 ] || status=1
fi
echo "$status" >"$log_dir/$name.status"
exit "$status"
