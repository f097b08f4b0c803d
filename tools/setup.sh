# shellcheck shell=bash
# SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
# SPDX-License-Identifier: MIT
#
# Sourced by the scripts of this project: what a fresh Debian or Ubuntu machine needs before it can build.

source_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache_dir=${XDG_CACHE_HOME:-$HOME/.cache}/qtnamedpipes

say() {
    printf '\n== %s\n' "$*"
}

die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

# need_packages REASON PACKAGE... installs those that are missing.
need_packages() {
    local reason=$1 package missing=()
    shift
    if ! command -v apt-get >/dev/null; then
        say "This is not Debian or Ubuntu: $reason needs what they call: $*"
        return
    fi
    for package in "$@"; do
        if [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" != installed ]; then
            missing+=("$package")
        fi
    done
    if [ ${#missing[@]} -eq 0 ]; then
        return
    fi
    say "Installing, $reason: ${missing[*]}"
    if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
        die "neither root nor sudo; as root, please: apt-get install ${missing[*]}"
    fi
    as_root apt-get -qq update
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "${missing[@]}"
}

need_native_packages() {
    need_packages "to build and test on this system" \
        g++ cmake ninja-build qt6-base-dev qt6-base-dev-tools
    use_ccache
}

# The clients in other languages are tested, too.
need_test_packages() {
    need_native_packages
    need_packages "to test the clients in demo/clients" python3 nodejs
}

need_windows_packages() {
    need_native_packages
    need_packages "to build for Windows and to run that under Wine" \
        g++-mingw-w64-x86-64-posix wine wine64 fonts-dejavu-core xz-utils
}

# A compiler cache is used where it is installed, not asked for.
use_ccache() {
    if [ -z "${CMAKE_CXX_COMPILER_LAUNCHER:-}" ] && command -v ccache >/dev/null; then
        export CMAKE_CXX_COMPILER_LAUNCHER=ccache
    fi
}

# qt_version PREFIX prints the version of the Qt there, nothing if there is none.
qt_version() {
    local file
    for file in "$1"/lib/cmake/Qt6/Qt6ConfigVersionImpl.cmake "$1"/lib/*/cmake/Qt6/Qt6ConfigVersionImpl.cmake; do
        if [ -f "$file" ]; then
            sed -n 's/^set(PACKAGE_VERSION "\(.*\)")$/\1/p' "$file" | head -n 1
            return
        fi
    done
}

# need_qt KIND VARIABLE: a Qt that cmake/build-qt.sh knows how to build. Exports the variable that names its folder: the
# value from the environment, or one that is built now and kept.
need_qt() {
    local kind=$1 variable=$2 folder=${!2:-} host_version version
    host_version=$(qt_version /usr)
    [ -n "$host_version" ] || die "no Qt 6 in /usr: its moc is needed"
    if [ -z "$folder" ]; then
        folder=$cache_dir/qt-$host_version-$kind
        if [ -z "$(qt_version "$folder")" ]; then
            say "No Qt ($kind) yet: building Qt $host_version once, into $folder." \
                "It takes 5 to 8 minutes of CPU time. (Set $variable to use one that you have.)"
            "$source_dir/cmake/build-qt.sh" "$kind" "$cache_dir/build-qt-$host_version" "$folder"
        fi
    fi
    version=$(qt_version "$folder")
    [ -n "$version" ] || die "$variable=$folder: there is no Qt 6"
    if [ "$version" != "$host_version" ]; then
        die "$variable is Qt $version, the moc of this system is from Qt $host_version: the versions must be the same"
    fi
    export "$variable=$folder"
}

need_windows_qt() {
    need_windows_packages
    need_qt mingw64 QTNAMEDPIPES_WINDOWS_QT
}

need_tsan_qt() {
    need_native_packages
    need_qt tsan QTNAMEDPIPES_TSAN_QT
}

# build_preset PRESET [TARGET...]: configure and build, on all cores.
build_preset() {
    local preset=$1
    shift
    (
        cd "$source_dir" &&
            cmake --preset "$preset" &&
            cmake --build --preset "$preset" --parallel "$(nproc)" ${1:+--target "$@"}
    )
}
