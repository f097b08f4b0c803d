#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
# SPDX-License-Identifier: MIT
#
# Builds the parts of Qt that this project needs (Core, Network, Test) as shared libraries, on Debian or Ubuntu, from
# the distribution's own source package: the same version as the Qt of this system, whose moc goes with it.
#
# usage: cmake/build-qt.sh mingw64|tsan WORKDIR PREFIX
#
#   mingw64  for Windows x86-64
#   tsan     for this system, with ThreadSanitizer, which has to see the locks and reference counts inside Qt as well
#
# WORKDIR keeps sources and objects (some 1 GB; may be removed afterwards). What is done already is not done again.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=../tools/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tools/setup.sh"

usage() {
    sed -n '8,13s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
}

[ $# -eq 3 ] || usage
kind=$1
case $kind in
    mingw64) need_windows_packages ;;
    tsan) need_native_packages ;;
    *) usage ;;
esac
mkdir -p "$2"
work=$(cd "$2" && pwd)
prefix=$(realpath -m "$3")
build=$work/build-$kind

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

    say "Qt ($kind), 1 of 4: fetching the source of qt6-base $version"
    apt-get "${options[@]}" -q update
    (cd "$work" && apt-get "${options[@]}" -q source --download-only "qt6-base=$version")

    say "Qt ($kind), 2 of 4: unpacking"
    rm -rf "$work/src.part"
    mkdir "$work/src.part"
    tar -C "$work/src.part" -xf "$work"/qt6-base_*.orig.tar.xz --strip-components=1
    mv "$work/src.part" "$work/src"
}

if [ -d "$work/src" ]; then
    say "Qt ($kind), 1 and 2 of 4: the source is there"
else
    fetch_source
fi

say "Qt ($kind), 3 of 4: configuring and building, 5 to 8 minutes of CPU time"
# No warnings: they are Qt's. No path of this machine in the result.
flags="-w -ffile-prefix-map=$work/src=qtbase -ffile-prefix-map=$build=qtbase-build"
off=(gui widgets sql xml concurrent printsupport dbus icu openssl pkg_config glib system_zlib zstd brotli)
case $kind in
    mingw64)
        options=(-DCMAKE_TOOLCHAIN_FILE="$source_dir/cmake/mingw-w64-x86-64.cmake")
        install_options=(--strip)
        ;;
    tsan)
        # That CMAKE_SYSTEM_NAME is given makes it a cross-build, which takes moc and the other tools from /usr.
        options=(-DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR="$(uname -m)" -DQT_HOST_PATH=/usr
            -DQT_HOST_PATH_CMAKE_DIR="/usr/lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH)/cmake"
            -DQT_USE_DEFAULT_CMAKE_OPTIMIZATION_FLAGS=ON
            -DCMAKE_C_FLAGS_RELEASE="-DNDEBUG -DPCRE2_DISABLE_JIT" -DCMAKE_CXX_FLAGS_RELEASE=-DNDEBUG)
        install_options=() # with symbols: they are the stacks of reports
        flags+=" -fsanitize=thread -O1 -g1"
        # The libraries that Qt brings along are instrumented, those of the system are not; nor is what PCRE2's JIT
        # makes. Without forkfd_pidfd QProcess calls fork(), which ThreadSanitizer knows; otherwise clone(), with a
        # stack of 4 KiB.
        off+=(system_pcre2 system_doubleconversion system_libb2 libudev forkfd_pidfd
            http topleveldomain dnslookup udpsocket networkproxy gssapi libproxy networkdiskcache mimetype)
        ;;
esac
off=("${off[@]/#/-DFEATURE_}")
cmake -S "$work/src" -B "$build" -G Ninja "${options[@]}" "${off[@]/%/=OFF}" \
    -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_INSTALL_PREFIX="$prefix" \
    -DCMAKE_C_FLAGS="$flags" -DCMAKE_CXX_FLAGS="$flags" \
    -DBUILD_SHARED_LIBS=ON -DQT_BUILD_EXAMPLES=OFF -DQT_BUILD_TESTS=OFF
cmake --build "$build" --parallel "$(nproc)"

say "Qt ($kind), 4 of 4: installing into $prefix"
# Into place in one step: a half-installed Qt is never taken for a whole one.
rm -rf "$work/install"
if ! DESTDIR=$work/install cmake --install "$build" "${install_options[@]}" >"$work/install.log" 2>&1; then
    tail -n 50 "$work/install.log" >&2
    die "cannot install Qt"
fi
mkdir -p "$(dirname "$prefix")"
rm -rf "$prefix"
mv "$work/install$prefix" "$prefix"
say "Qt $(qt_version "$prefix") ($kind) is in $prefix"
