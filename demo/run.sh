#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
# SPDX-License-Identifier: MIT
#
# Builds the console demo (Release) and runs it; installs what is missing.
#
# usage: demo/run.sh [--windows] [argument of the demo...]
#
#   --windows  cross-built, under Wine (needs a Qt for Windows, see tests/run.sh --help)
#
# Everything else goes to the demo: --pipe NAME, --duration S, --load N, --size B; --help lists them all.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=../tools/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tools/setup.sh"

if [ "${1:-}" = --windows ]; then
    shift
    need_windows_qt
    preset=windows-mingw
    command=("$source_dir/tests/support/wine-run.sh" "$source_dir/build/$preset/bin/echo-server.exe")
else
    need_native_packages
    preset=release
    command=("$source_dir/build/$preset/bin/echo-server")
fi

build_preset "$preset" echo-server
exec "${command[@]}" "$@" # nothing stands between Ctrl-C and the program
