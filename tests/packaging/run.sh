#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
# SPDX-License-Identifier: MIT
#
# Tests the library as somebody else gets it, shared and static: builds it, installs it, packs it, and then builds and
# runs a program (consumer/) against the result in every way that the README names; and the examples, copied out of here.
# symbols-linux.txt has the names that the shared library exports on Linux.
#
# usage: tests/packaging/run.sh [--windows] [--help]
#
#   --windows  cross-built with MinGW-w64, under Wine; needs a Qt for Windows, see tests/run.sh --help
#
# Builds in build/packaging, or in the folder that QTNAMEDPIPES_PACKAGING_DIR names; logs are kept there.
# The last line is "N passed, M failed", counted in checks. The exit code is 0 only if nothing failed.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=../../tools/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../tools/setup.sh"

usage() {
    sed -n '5,14s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
}

system=native
case ${1:-} in
    "") ;;
    --windows) system=windows ;;
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

work=$(realpath -m "${QTNAMEDPIPES_PACKAGING_DIR:-$source_dir/build/packaging}")/$system
consumer_dir=$source_dir/tests/packaging/consumer
began=$SECONDS
passed=0
failed=0

# What careful users compile with.
flags=(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror
    -DQT_NO_KEYWORDS -DQT_NO_FOREACH -DQT_NO_CAST_FROM_ASCII -DQT_NO_CAST_TO_ASCII -DQT_STRICT_ITERATORS)

# However this script ends, the last line is the result.
finish() {
    local status=$?
    if [ "$system" = windows ]; then
        "$source_dir/tests/support/wine-run.sh" --end
    fi
    if [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then
        failed=1 # it did not come to the checks
    fi
    printf '\n%d passed, %d failed\n' "$passed" "$failed"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# check NAME COMMAND...: runs it, in a shell of its own that ends at the first error.
check() {
    local name=$1 log status start=$SECONDS
    shift
    log=$work/logs/${name//[^a-zA-Z0-9]/-}.txt
    set +e
    (
        set -ex
        "$@"
    ) >"$log" 2>&1
    status=$?
    set -e
    if [ $status -eq 0 ]; then
        passed=$((passed + 1))
        printf 'PASS   %-50s %3d s\n' "$name" $((SECONDS - start))
    else
        failed=$((failed + 1))
        printf 'FAIL!  %-50s %3d s, exit code %d; the end of %s:\n' "$name" $((SECONDS - start)) $status "$log"
        tail -n 30 "$log" | sed 's/^/       /'
    fi
}

# run PROGRAM [argument...]: on this system, or under Wine.
run() {
    if [ "$system" = windows ]; then
        QTNAMEDPIPES_WINE_TIMEOUT=120 "$source_dir/tests/support/wine-run.sh" "$@"
    else
        timeout 120 "$@"
    fi
}

configure() {
    cmake -G Ninja -DCMAKE_BUILD_TYPE=Release "${cross[@]}" "$@"
}

# To one folder, and from there to another: nothing may depend on where it was installed.
build_and_install() {
    configure -S "$source_dir" -B "$build" -DCMAKE_INSTALL_PREFIX=/usr -DBUILD_SHARED_LIBS="$shared" \
        -DQTNAMEDPIPES_BUILD_TESTS=OFF -DQTNAMEDPIPES_BUILD_DEMOS=OFF
    cmake --build "$build" --parallel "$(nproc)"
    cmake --install "$build" --prefix "$tree-first"
    mv "$tree-first" "$tree"
    if grep -rIF -e "$source_dir" -e "$work" "$tree"; then
        echo "an installed file names a folder of the build"
        return 1
    fi
}

# What the library exports: the classes that have a header of their name, and templates of Qt and the standard library.
check_exports() {
    local exported classes about='(vtable|typeinfo|typeinfo name|guard variable) for |void '
    classes=$(find "$tree/include/QtNamedPipes" -name 'NamedPipe*' -printf '%f|')
    if [ "$system" = windows ]; then
        exported=$(x86_64-w64-mingw32-objdump -p "$tree/bin/libQtNamedPipes.dll" |
            sed -n '/Ordinal\/Name Pointer/,/^$/s/^\t\[ *[0-9]*\] //p' | x86_64-w64-mingw32-c++filt)
    else
        exported=$(nm -DC --defined-only "$libdir/libQtNamedPipes.so" | cut -d ' ' -f 3-)
    fi
    grep -q '^NamedPipeServer::start()$' <<<"$exported"
    if grep -Ev "^($about)?((${classes%|})(::|$)|(std|QMetaType)\b)" <<<"$exported"; then
        echo "the library exports what is not public"
        return 1
    fi
}

# The name that programs ask for when they start; it changes with the major version.
check_soname() {
    local major
    major=$(sed -n 's/^    VERSION \([0-9]*\)\.[0-9.]*$/\1/p' "$source_dir/CMakeLists.txt")
    readelf -d "$libdir/libQtNamedPipes.so" | grep -F "Library soname: [libQtNamedPipes.so.$major]"
}

# Programs that are built need each name that was ever exported. Inline functions are left out: which of them is in the
# library is up to the compiler.
check_symbols() {
    local list=$source_dir/tests/packaging/symbols-linux.txt now=$work/$kind/symbols-linux.txt gone new
    nm -DC --defined-only "$libdir/libQtNamedPipes.so" | sed -n 's/^[0-9a-f]* [TDBRV] //p' |
        grep -E '^((vtable|typeinfo|typeinfo name) for )?NamedPipe' | LC_ALL=C sort -u >"$now"
    gone=$(grep -v '^#' "$list" | LC_ALL=C comm -23 - "$now")
    new=$(grep -v '^#' "$list" | LC_ALL=C comm -13 - "$now")
    if [ -n "$gone" ]; then
        printf 'gone, so that programs no longer run:\n%s\n' "$gone"
        return 1
    elif [ -n "$new" ]; then
        printf 'new; add these lines, in their place, to %s:\n%s\n' "$list" "$new"
        return 1
    fi
}

# ask_pkg_config ARGUMENT...: about the installed library and Qt.
ask_pkg_config() {
    if [ "$system" = windows ]; then
        # Qt has been moved since it was built; and Qt 6.4 writes "-D_UNICODE\>".
        PKG_CONFIG_LIBDIR=$libdir/pkgconfig:$QTNAMEDPIPES_WINDOWS_QT/lib/pkgconfig \
            pkg-config --define-prefix "$@" | sed 's/\\>//g'
    else
        PKG_CONFIG_PATH=$libdir/pkgconfig pkg-config "$@"
    fi
}

# compile ARGUMENT...: as pkg-config says. Warnings in Qt's headers are Qt's; -fPIC is what Qt asks for on Linux.
compile() {
    local qt ours
    read -r -a qt < <(ask_pkg_config --cflags Qt6Core | sed 's/-I/-isystem/g')
    read -r -a ours < <(ask_pkg_config --cflags QtNamedPipes)
    "$compiler" -std=c++17 -fPIC "${flags[@]}" "${qt[@]}" "${ours[@]}" "$@"
}

check_headers() {
    local header
    for header in "$tree"/include/QtNamedPipes/*; do
        compile -fsyntax-only -x c++ - <<<"#include <QtNamedPipes/$(basename "$header")>"
    done
}

consume_pkg_config() {
    local libraries dir=$work/$kind/pkg-config
    mkdir "$dir"
    read -r -a libraries < <(ask_pkg_config --libs QtNamedPipes)
    compile "$consumer_dir/main.cpp" -o "$dir/consumer$exe" "${libraries[@]}"
    if [ "$system" = windows ] && [ "$shared" = ON ]; then
        cp "$tree/bin/libQtNamedPipes.dll" "$dir"
    fi
    LD_LIBRARY_PATH=$libdir run "$dir/consumer$exe"
}

# consume NAME VARIABLE...: with CMake, told by these variables.
consume() {
    local dir=$work/$kind/$1
    shift
    configure -S "$consumer_dir" -B "$dir" -DCONSUMER_FLAGS="$(IFS=';' && echo "${flags[*]}")" "${@/#/-D}"
    cmake --build "$dir" --parallel "$(nproc)"
    run "$dir/consumer$exe"
}

# consume_installed NAME PREFIX: with what is installed there. (A cross build looks below its roots only.)
consume_installed() {
    consume "$1" CONSUMER_USES=find_package CMAKE_PREFIX_PATH="$2" CMAKE_FIND_ROOT_PATH="$2"
}

# As a part of a project that does not say which kind of library it wants, and installs it with its own things. That
# project's BUILD_SHARED_LIBS stays unset, and the library is static.
consume_subproject() {
    local dir=$work/$kind/add_subdirectory
    consume add_subdirectory CMAKE_BUILD_TYPE=Debug CONSUMER_USES=add_subdirectory \
        CONSUMER_LIBRARY_SOURCE="$source_dir" QTNAMEDPIPES_INSTALL=ON
    ! grep BUILD_SHARED_LIBS "$dir/CMakeCache.txt" || return 1
    cmake --install "$dir" --prefix "$dir-installed"
    find "$dir-installed" -name libQtNamedPipes.a | grep .
    consume_installed consumer-subproject "$dir-installed"
}

# build_example NAME: as the project that it is, outside of here and against what is installed.
build_example() {
    local dir=$work/$kind/examples/$1
    mkdir -p "$(dirname "$dir")"
    cp -R "$source_dir/demo/examples/$1" "$dir"
    configure -S "$dir" -B "$dir/build" -DCMAKE_PREFIX_PATH="$tree" -DCMAKE_FIND_ROOT_PATH="$tree"
    cmake --build "$dir/build" --parallel "$(nproc)"
}

has_widgets() {
    local core
    core=$(sed -n 's/^Qt6Core_DIR:PATH=//p' "$build/CMakeCache.txt")
    [ -d "$(dirname "$core")/Qt6Widgets" ]
}

# The client may be first and then finds no server: it is started again.
run_hello() {
    local dir=$work/$kind/examples/01-hello/build name=qtnamedpipes-hello-$$ server tries
    if [ "$system" = windows ] && [ "$shared" = ON ]; then
        cp "$tree/bin/libQtNamedPipes.dll" "$dir"
    fi
    run "$dir/example-hello-server$exe" "$name" &
    server=$!
    for ((tries = 0; tries < 100; tries++)); do
        if run "$dir/example-hello-client$exe" "$name"; then
            wait $server
            return
        fi
        sleep 0.2
    done
    kill $server
    return 1
}

# pack GENERATOR: into packages-GENERATOR
pack() {
    cpack -G "$1" --config "$build/CPackConfig.cmake" -B "$work/$kind/packages-$1"
}

# consume_archive GENERATOR EXTENSION
consume_archive() {
    local dir=$work/$kind/packages-$1
    pack "$1"
    (cd "$dir" && cmake -E tar xf QtNamedPipes-*."$2")
    consume_installed "consumer-$1" "$(echo "$dir"/QtNamedPipes-*/)"
}

consume_deb() {
    local dir=$work/$kind/packages-DEB package runtime development
    pack DEB
    for package in "$dir"/*.deb; do
        dpkg-deb --info "$package"
        dpkg-deb --contents "$package"
        dpkg-deb --extract "$package" "$dir/root"
        dpkg-deb --field "$package" Maintainer | grep -E '^[^<]+ <[^@ ]+@[^@ ]+>$'
        grep '^License: MIT$' "$dir/root/usr/share/doc/$(dpkg-deb --field "$package" Package)/copyright"
    done
    development=$(echo "$dir"/libqtnamedpipes-dev_*.deb)
    dpkg-deb --field "$development" Depends | grep -F 'qt6-base-dev (>= '
    if [ "$shared" = ON ]; then
        runtime=$(echo "$dir"/libqtnamedpipes[0-9]*.deb)
        dpkg-deb --field "$runtime" Depends | grep -F 'libqt6core6 (>= '
        # shellcheck disable=SC2016 # for dpkg-deb
        dpkg-deb --field "$development" Depends |
            grep -F "$(dpkg-deb --show --showformat '${Package} (= ${Version})' "$runtime")"
        dpkg-deb --info "$runtime" shlibs | grep '(>= '
        dpkg-deb --contents "$runtime" | grep '/libQtNamedPipes\.so\.[0-9.]* -> '
        ! dpkg-deb --contents "$runtime" | grep -E '/include/|\.cmake$|\.pc$|\.so( |$)' || return 1
    fi
    consume_installed consumer-DEB "$dir/root/usr"
}

say "What the checks need"
need_packages "to test what is installed" pkg-config binutils
if [ "$system" = windows ]; then
    export QTNAMEDPIPES_WINEPREFIX=${QTNAMEDPIPES_WINEPREFIX:-$(dirname "$work")/wine}
    need_windows_qt
    "$source_dir/tests/support/wine-run.sh" --prepare
    compiler=x86_64-w64-mingw32-g++-posix
    exe=.exe
    cross=(-DCMAKE_TOOLCHAIN_FILE="$source_dir/cmake/mingw-w64-x86-64.cmake")
else
    need_native_packages
    need_packages "to make Debian packages" dpkg-dev
    compiler=${CXX:-c++}
    exe=
    cross=()
fi
rm -rf "$work"
mkdir -p "$work/logs"

for kind in shared static; do
    shared=$([ $kind = shared ] && echo ON || echo OFF)
    build=$work/$kind/library
    tree=$work/$kind/installed
    say "$system, $kind library"

    check "$kind: install, and move that" build_and_install
    libdir=$(find "$tree" -name pkgconfig -printf '%h' 2>/dev/null || true)
    if [ $kind = shared ]; then
        check "$kind: exports the public classes only" check_exports
        if [ "$system" = native ]; then
            check "$kind: the name of the library" check_soname
            check "$kind: no exported name has gone" check_symbols
        fi
        check "$kind: each header alone" check_headers
        for example in "$source_dir"/demo/examples/*/; do
            example=$(basename "$example")
            if [ "$example" != 03-chat ] || has_widgets; then
                check "$kind: example $example" build_example "$example"
            fi
        done
        check "$kind: example 01-hello says hello" run_hello
    fi
    check "$kind: find_package" consume_installed consumer "$tree"
    check "$kind: pkg-config" consume_pkg_config
    # Each builds the library once more: Debug, which is quicker. Both ways are the same one inside CMake.
    if [ $kind = shared ]; then
        check "$kind: FetchContent" consume FetchContent CMAKE_BUILD_TYPE=Debug BUILD_SHARED_LIBS=ON \
            CONSUMER_USES=FetchContent FETCHCONTENT_SOURCE_DIR_QTNAMEDPIPES="$source_dir"
    else
        check "$kind: add_subdirectory that says nothing, and installs" consume_subproject
    fi
    if [ "$system" = windows ]; then
        check "$kind: ZIP, and find_package" consume_archive ZIP zip
    else
        check "$kind: TGZ, and find_package" consume_archive TGZ tar.gz
        check "$kind: Debian packages, and find_package" consume_deb
    fi
done
if [ "$system" = native ]; then
    check "the README, word for word" "$source_dir/tests/packaging/newcomer.sh" "$work/newcomer"
fi

echo
echo "$((SECONDS - began)) s"
[ "$failed" -eq 0 ]
