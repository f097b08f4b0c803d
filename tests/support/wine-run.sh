#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
# SPDX-License-Identifier: MIT
#
# Runs a Windows program under Wine, in a Wine prefix of its own, which is made on first use. Needs no display.
#
# usage: wine-run.sh PROGRAM.exe [argument...]
#        wine-run.sh --prepare        makes the prefix now, so that the first program does not wait for it
#        wine-run.sh --end            ends the Wine server of the prefix, and everything that runs in it
#
# Environment:
#   QTNAMEDPIPES_WINDOWS_QT  the Qt for Windows whose DLLs the program needs
#   QTNAMEDPIPES_WINEPREFIX  the prefix; default: a folder in the user's cache
#   QTNAMEDPIPES_WINE_DISPLAY  an X display for programs with windows; default: none
#   QTNAMEDPIPES_WINE_TIMEOUT  seconds until the program is ended; default: no limit
set -euo pipefail

if [ $# -lt 1 ]; then
    sed -n '5,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi

export WINEPREFIX=${QTNAMEDPIPES_WINEPREFIX:-${XDG_CACHE_HOME:-$HOME/.cache}/qtnamedpipes/wine}
export WINEARCH=win64
export WINEDEBUG=${WINEDEBUG:--all}
# Neither a display, unless it is asked for, nor the installers of .NET and HTML, which would ask for one.
unset DISPLAY WAYLAND_DISPLAY
if [ -n "${QTNAMEDPIPES_WINE_DISPLAY:-}" ]; then
    export DISPLAY=$QTNAMEDPIPES_WINE_DISPLAY
else
    export QT_QPA_PLATFORM=${QT_QPA_PLATFORM:-offscreen}
fi
# The same font on every machine, whatever its fonts are: DejaVu, which comes with fontconfig.
export FONTCONFIG_FILE=$WINEPREFIX/fonts.conf
export WINEDLLOVERRIDES="mscoree,mshtml=;winemenubuilder.exe=d"

if [ "$1" = --end ]; then
    if [ -d "$WINEPREFIX" ]; then
        timeout 60 wineserver -k 2>/dev/null || true # there may be none any more
    fi
    exit 0
fi

# The 64-bit loader itself: Debian's wrapper complains about a missing wine32, which nobody here needs.
wine=
for candidate in wine64 /usr/lib/wine/wine64 wine; do
    if wine=$(command -v "$candidate"); then
        break
    fi
done
if [ -z "$wine" ]; then
    echo "wine-run.sh: Wine is not installed (tests/run.sh --windows installs it)" >&2
    exit 127
fi
export WINELOADER=$wine

# Runs a part of Wine silently, for five minutes at most. Its services stay behind and get none of our file descriptors:
# a pipe kept open would let CTest wait for them instead of the program, and the lock would never be free.
quietly() {
    timeout 300 "$@" 9>&- </dev/null >/dev/null 2>&1
}

# Each step ends with its server: then it is complete and on disk.
make_prefix() {
    local step
    for step in "$wine wineboot --init" "wineserver -w" "$wine winecfg -v win10" "wineserver -w"; do
        # shellcheck disable=SC2086 # the words of a command
        if ! quietly $step; then
            echo "wine-run.sh: '$step' failed in $WINEPREFIX" >&2
            return 1
        fi
    done
}

# Makes the prefix once, and wakes it up when it sleeps.
prepare_prefix() {
    mkdir -p "$WINEPREFIX"
    exec 9>"$WINEPREFIX/.lock"
    flock 9
    echo "<fontconfig><dir>/usr/share/fonts/truetype/dejavu</dir></fontconfig>" >"$FONTCONFIG_FILE"
    if [ ! -e "$WINEPREFIX/.ready" ]; then
        # A second time, for the first has failed once on a busy machine, and nobody has found out why.
        if ! make_prefix && ! make_prefix; then
            echo "wine-run.sh: cannot make a Wine prefix in $WINEPREFIX" >&2
            exit 1
        fi
        touch "$WINEPREFIX/.ready"
    fi
    # The server stays for a minute after its last program: a new one for each suite costs seconds. It says no when there
    # is one already, and then its services run, too.
    if quietly wineserver -p60; then
        quietly "$wine" wineboot || true
    fi
    exec 9>&-
}
prepare_prefix
if [ "$1" = --prepare ]; then
    exit 0
fi

# Where Windows looks for DLLs: Qt, the run-time libraries of MinGW, the thread library. (The program's own folder comes
# first anyway.)
compiler=x86_64-w64-mingw32-g++-posix
folders=()
if [ -n "${QTNAMEDPIPES_WINDOWS_QT:-}" ]; then
    folders+=("$QTNAMEDPIPES_WINDOWS_QT/bin")
fi
if command -v "$compiler" >/dev/null; then
    for library in libstdc++-6.dll libwinpthread-1.dll; do
        folders+=("$(dirname "$(realpath "$("$compiler" -print-file-name="$library")")")")
    done
fi
if [ -d "${QTNAMEDPIPES_WINDOWS_QT:-}/plugins" ]; then # programs with windows need one
    plugins=$QTNAMEDPIPES_WINDOWS_QT/plugins
    export QT_PLUGIN_PATH="Z:${plugins//\//\\}"
fi
WINEPATH=
for folder in "${folders[@]}"; do
    WINEPATH+="Z:${folder//\//\\};"
done
export WINEPATH

if [ -n "${QTNAMEDPIPES_WINE_TIMEOUT:-}" ]; then
    exec timeout --kill-after=10 "$QTNAMEDPIPES_WINE_TIMEOUT" "$wine" "$@"
fi
exec "$wine" "$@"
