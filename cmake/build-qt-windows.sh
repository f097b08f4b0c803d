#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
# SPDX-License-Identifier: MIT
#
# Builds the parts of Qt that this project needs (Core, Network, Test) as DLLs for Windows x86-64, on Debian or Ubuntu,
# from the distribution's own source package: the same version as the Qt of this system, whose moc goes with it.
#
# usage: cmake/build-qt-windows.sh WORKDIR PREFIX
#
# WORKDIR keeps sources and objects (some 1 GB; may be removed afterwards). What is done already is not done again.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=../tools/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tools/setup.sh"

if [ $# -ne 2 ]; then
    sed -n '8,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
fi
mkdir -p "$1"
work=$(cd "$1" && pwd)
prefix=$(realpath -m "$2")

need_windows_packages
need_packages "to fetch and unpack the source of Qt" dpkg-dev xz-utils

# apt's lists of source packages, in the work folder: neither root nor a change of this system's sources is needed.
fetch_source() {
    local version apt=$work/apt options
    version=$(dpkg-query -W -f '${source:Version}' qt6-base-dev)
    mkdir -p "$apt/sources.list.d" "$apt/lists/partial" "$apt/cache/archives/partial"
    options=(-o "Dir::Etc::SourceList=$apt/sources.list" -o "Dir::Etc::SourceParts=$apt/sources.list.d"
        -o "Dir::State::Lists=$apt/lists" -o "Dir::Cache=$apt/cache" -o APT::Sandbox::User=root)

    # The system's own sources (one-line and deb822 format), turned from "deb" to "deb-src".
    : >"$apt/sources.list"
    if [ -f /etc/apt/sources.list ]; then
        sed -n 's/^deb\(-src\)\{0,1\} /deb-src /p' /etc/apt/sources.list | sort -u >"$apt/sources.list"
    fi
    for file in /etc/apt/sources.list.d/{debian,ubuntu}.sources; do
        if [ -f "$file" ]; then
            sed 's/^Types:.*/Types: deb-src/' "$file" >"$apt/sources.list.d/$(basename "$file")"
        fi
    done

    say "Qt for Windows, 1 of 4: fetching the source of qt6-base $version"
    apt-get "${options[@]}" -q update
    (cd "$work" && apt-get "${options[@]}" -q source --download-only "qt6-base=$version")

    say "Qt for Windows, 2 of 4: unpacking"
    rm -rf "$work/src.part"
    mkdir "$work/src.part"
    tar -C "$work/src.part" -xf "$work"/qt6-base_*.orig.tar.xz --strip-components=1
    mv "$work/src.part" "$work/src"
}

if [ -d "$work/src" ]; then
    say "Qt for Windows, 1 and 2 of 4: the source is there"
else
    fetch_source
fi

say "Qt for Windows, 3 of 4: configuring and building, some 8 minutes of CPU time"
# No warnings: they are Qt's. No path of this machine in the result.
flags="-w -ffile-prefix-map=$work/src=qtbase -ffile-prefix-map=$work/build=qtbase-build"
off=()
for feature in gui widgets sql xml concurrent printsupport dbus \
    icu openssl pkg_config glib system_zlib zstd brotli; do
    off+=("-DFEATURE_$feature=OFF")
done
cmake -S "$work/src" -B "$work/build" -G Ninja \
    -DCMAKE_TOOLCHAIN_FILE="$source_dir/cmake/mingw-w64-x86-64.cmake" \
    -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_INSTALL_PREFIX="$prefix" \
    -DCMAKE_C_FLAGS="$flags" -DCMAKE_CXX_FLAGS="$flags" \
    -DBUILD_SHARED_LIBS=ON -DQT_BUILD_EXAMPLES=OFF -DQT_BUILD_TESTS=OFF \
    "${off[@]}"
cmake --build "$work/build" --parallel "$(nproc)"

say "Qt for Windows, 4 of 4: installing into $prefix"
# Into place in one step: a half-installed Qt is never taken for a whole one.
rm -rf "$work/install"
if ! DESTDIR=$work/install cmake --install "$work/build" --strip >"$work/install.log" 2>&1; then
    tail -n 50 "$work/install.log" >&2
    die "cannot install Qt"
fi
mkdir -p "$(dirname "$prefix")"
rm -rf "$prefix"
mv "$work/install$prefix" "$prefix"
say "Qt $(qt_version "$prefix") for Windows is in $prefix"
