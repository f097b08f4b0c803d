#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
# SPDX-License-Identifier: MIT
#
# Looks for mistakes without running anything: clang-tidy (.clang-tidy says what it looks for), clazy, which knows Qt,
# and shellcheck.
#
# usage: tools/lint.sh [FILE...]
#
#   FILE...  .cpp files and scripts, instead of the library, the demos and all scripts
#
# Sources for Windows are looked at when there is a Qt for Windows: in QTNAMEDPIPES_WINDOWS_QT, or the one that
# tests/run.sh --windows has built. The last line is "N passed, M failed", counted in files.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

if [[ ${1:-} == -* ]]; then
    sed -n '5,13s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
fi

# Clazy's checks of level 0 and 1, but for:
#   lambda-in-connect         locals of main() outlive its event loop
#   connect-3arg-lambda       no context object: the slot shall run on the thread of the engine that calls it
#   strict-iterators          std::unique() and erase() are used together
#   qproperty-without-notify  what changes from within, on any thread, has no signal of its own
clazy_checks=level0,level1,no-lambda-in-connect,no-connect-3arg-lambda,no-strict-iterators,no-qproperty-without-notify

need_native_packages
need_packages "to look for mistakes" clang-tidy clazy shellcheck git python3
files=()
[ $# -eq 0 ] || mapfile -t files < <(realpath "$@")
cd "$source_dir"
log=build/lint
rm -rf $log/results
mkdir -p $log/results

# commands_of PRESET makes the compile commands of library and demos, and what moc writes, which the sources include. Asked
# for that, ninja would build the libraries before.
commands_of() {
    local preset=$1 folder=$log/$1 description
    cmake --preset "$preset" -B "$folder" -DQTNAMEDPIPES_BUILD_TESTS=OFF >"$folder.log" ||
        die "cmake failed: $(tail -n 5 "$folder.log")"
    while read -r description; do
        cmake -E cmake_autogen "$description" Debug >"$folder.log" || die "moc failed: $(tail -n 20 "$folder.log")"
    done < <(find "$folder" -name AutogenInfo.json)
}

# sources_of PRESET lists them.
sources_of() {
    python3 -c 'import json, sys
print("\n".join(sorted({entry["file"] for entry in json.load(open(sys.argv[1]))})))' "$log/$1/compile_commands.json" |
        grep -E "^$source_dir/(src|demo)/"
}

# The commands of MinGW's GCC as Clang needs them: it knows neither where GCC keeps the headers of C++ nor all options.
translate_commands() {
    local compiler=x86_64-w64-mingw32-g++-posix headers
    headers=$("$compiler" -E -x c++ -v - </dev/null 2>&1 | sed -n 's|^ \(/.*c++.*\)|-isystem \1|p' | tr '\n' ' ')
    sed -i "s|[^ \"]*$compiler|clang++ --target=x86_64-w64-mingw32 -nostdinc++ $headers|; s| -fno-keep-inline-dllexport||" \
        "$log/windows-mingw/compile_commands.json"
}

commands_of dev
sources_of dev >$log/dev.txt
: >$log/windows-mingw.txt
export QTNAMEDPIPES_WINDOWS_QT=${QTNAMEDPIPES_WINDOWS_QT:-$cache_dir/qt-$(qt_version /usr)-mingw64}
if [ -n "$(qt_version "$QTNAMEDPIPES_WINDOWS_QT")" ]; then
    need_packages "to look at what is for Windows" g++-mingw-w64-x86-64-posix
    commands_of windows-mingw
    translate_commands
    sources_of windows-mingw | grep -vxFf $log/dev.txt >$log/windows-mingw.txt
else
    say "No Qt for Windows: its sources are left out"
fi

if [ ${#files[@]} -eq 0 ]; then
    mapfile -t files < <(
        cat $log/dev.txt $log/windows-mingw.txt
        git ls-files --cached --others --exclude-standard -- '*.sh' | sed "s|^|$source_dir/|"
    )
fi

# check FILE prints what is wrong, and leaves a file that says so.
check() {
    local file=$1 result commands=$log/dev
    # GCC needs no -std for C++17, so the commands have none; the warning is of Qt's qCInfo() and its kind.
    local clang_arguments=(--extra-arg=-std=c++17 --extra-arg=-Wno-gnu-zero-variadic-macro-arguments)
    result=$log/results/$(echo "${file#"$source_dir/"}" | tr / _)
    case $file in
        *.cpp)
            if grep -qxF "$file" $log/windows-mingw.txt; then
                commands=$log/windows-mingw
            fi
            {
                clang-tidy --quiet "${clang_arguments[@]}" -p $commands "$file" 2>"$result.err" &&
                    clazy-standalone --checks="$clazy_checks" "${clang_arguments[@]}" -p $commands "$file" 2>&1
            } >"$result" && return
            ;;
        *) shellcheck -x "$file" >"$result" 2>&1 && return ;;
    esac
    touch "$result.failed"
    cat "$result"
}
export -f check
export clazy_checks log source_dir

say "${#files[@]} files"
# shellcheck disable=SC2016 # the inner shell's
printf '%s\0' "${files[@]}" | xargs -0 -P "$(nproc)" -I{} bash -c 'check "$1"' _ {}

failed=$(find $log/results -name '*.failed' | wc -l)
printf '\n%d passed, %d failed\n' $((${#files[@]} - failed)) "$failed"
[ "$failed" -eq 0 ]
