#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
# SPDX-License-Identifier: MIT
#
# Measures QtNamedPipes beside its peers, from nothing: installs what is missing, builds, runs, writes the tables.
#
# usage: tests/benchmarks/run.sh [--quick] [--windows] [--plots] [option of compare.py...] [--help]
#
#   --quick         fewer and shorter runs, under 2 minutes: for a look. Without it: under 10 minutes
#   --windows       also Windows programs, under Wine (needs a Qt for Windows, see tests/run.sh --help)
#   --plots         instead of the tables: pictures of how it scales, in docs/images
#   --rows REGEX    only rows whose key matches
#   --peers REGEX   only candidates whose key or title matches
#   --repeat N      so many repetitions, 5 if not given
#   --json FILE     write the result there, too
#   --update-docs   put the tables into docs/performance.md and README.md
#
# The tables and every single run are also in build/benchmark/results. The exit code is 1 if a run failed.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=../../tools/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../tools/setup.sh"

windows=no
plots=no
options=()
while [ $# -gt 0 ]; do
    case $1 in
        --windows) windows=yes ;;
        --plots) plots=yes ;;
        -h | --help)
            sed -n '5,18s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
            exit 0
            ;;
        *) options+=("$1") ;;
    esac
    shift
done

need_native_packages
need_packages "to compare with others" libuv1-dev libboost-dev libzmq3-dev libnng-dev pkg-config python3
say "benchmark: build"
build_preset benchmark

here=$source_dir/tests/benchmarks
results=$source_dir/build/benchmark/results
options+=(--programs "$source_dir/build/benchmark/bin" --results "$results")

if [ "$plots" = yes ]; then
    need_packages "to draw" python3-matplotlib
    python=python3
    "$python" -c "import matplotlib" 2>/dev/null || python=/usr/bin/python3 # the one that has the package
    say "benchmark: measure and draw"
    exec "$python" "$here/plots.py" "${options[@]}"
fi

if [ "$windows" = yes ]; then
    # In the build tree, so that ending its Wine server hurts nobody else.
    export QTNAMEDPIPES_WINEPREFIX=${QTNAMEDPIPES_WINEPREFIX:-$source_dir/build/benchmark-windows/wine}
    need_windows_qt
    build_preset benchmark-windows
    say "Preparing Wine"
    trap '"$source_dir/tests/support/wine-run.sh" --end' EXIT
    "$source_dir/tests/support/wine-run.sh" --prepare
    options+=(--windows-programs "$source_dir/build/benchmark-windows/bin")
fi

say "benchmark: measure"
python3 "$here/compare.py" "${options[@]}"
