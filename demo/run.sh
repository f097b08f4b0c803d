#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
# SPDX-License-Identifier: MIT
#
# Builds a demo (Release) and runs it; installs what is missing.
#
# usage: demo/run.sh [--windows] [--console] [argument of the demo...]
#
#   --windows  cross-built, under Wine (needs a Qt for Windows, see tests/run.sh --help)
#   --console  the echo server, a program without a window, instead of the pipe monitor
#
# Everything else goes to the demo; --help lists it. Without a display the monitor shows 20 simulated clients for 10
# seconds, prints a line each second and saves a picture of its window, unless the arguments say something else.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=../tools/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tools/setup.sh"

demo=pipe-monitor
preset=release
while [ $# -gt 0 ]; do
    case $1 in
        --windows) preset=windows-mingw ;;
        --console) demo=echo-server ;;
        *) break ;;
    esac
    shift
done

if [ "$preset" = windows-mingw ]; then
    need_windows_qt
    command=("$source_dir/tests/support/wine-run.sh" "$source_dir/build/$preset/bin/$demo.exe")
else
    need_native_packages
    command=("$source_dir/build/$preset/bin/$demo")
fi

if [ "$demo" = pipe-monitor ] && [ -z "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then
    say "There is no display: the window is painted in memory, and saved to pipe-monitor.png"
    command+=(--offscreen)
    [ $# -gt 0 ] || set -- --simulate 20 --duration 10
    [[ " $* " == *" --screenshot "* ]] || set -- "$@" --screenshot "$PWD/pipe-monitor.png"
fi

build_preset "$preset" "$demo"
exec "${command[@]}" "$@" # nothing stands between Ctrl-C and the program
