#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
# SPDX-License-Identifier: MIT
#
# Looks for mistakes without running anything: clang-tidy (.clang-tidy says what it looks for), and shellcheck.
#
# usage: tools/lint.sh [FILE...]
#
#   FILE...  .cpp files and scripts, instead of the library, the demos and all scripts
#
# Sources of another platform are left out: the compiler has to understand them. The last line is "N passed, M failed",
# counted in files.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

if [[ ${1:-} == -* ]]; then
    sed -n '5,12s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
fi

need_native_packages
need_packages "to look for mistakes" clang-tidy shellcheck git python3
files=()
[ $# -eq 0 ] || mapfile -t files < <(realpath "$@")
cd "$source_dir"
build=build/dev
log=$build/lint
rm -rf $log
mkdir -p $log

cmake --preset dev >$log/cmake.log || die "cmake failed: $(tail -n 5 $log/cmake.log)"
# What moc writes is included by the sources.
mapfile -t generated < <(ninja -C $build -t targets all | sed -n 's/^\([A-Za-z0-9_-]*_autogen\): phony$/\1/p' |
    grep -vE '^(tst_|fuzz_|snippet)')
ninja -C $build "${generated[@]}" >$log/ninja.log || die "ninja failed: $(tail -n 20 $log/ninja.log)"

if [ ${#files[@]} -eq 0 ]; then
    mapfile -t files < <(
        python3 -c 'import json, sys
print("\n".join(sorted({entry["file"] for entry in json.load(open(sys.argv[1]))})))' $build/compile_commands.json |
            grep -E "^$source_dir/(src|demo)/"
        git ls-files --cached --others --exclude-standard -- '*.sh' | sed "s|^|$source_dir/|"
    )
fi

# check FILE prints what is wrong, and leaves a file that says so.
check() {
    local file=$1 result
    result=$log/$(echo "${file#"$source_dir/"}" | tr / _)
    case $file in
        *.cpp) # GCC needs no -std for C++17, so the commands have none; Clang does
            clang-tidy --quiet --extra-arg=-std=c++17 -p $build "$file" >"$result" 2>"$result.err" && return
            ;;
        *) shellcheck -x "$file" >"$result" 2>&1 && return ;;
    esac
    touch "$result.failed"
    cat "$result"
}
export -f check
export log build source_dir

say "${#files[@]} files"
# shellcheck disable=SC2016 # the inner shell's
printf '%s\0' "${files[@]}" | xargs -0 -P "$(nproc)" -I{} bash -c 'check "$1"' _ {}

failed=$(find $log -name '*.failed' | wc -l)
printf '\n%d passed, %d failed\n' $((${#files[@]} - failed)) "$failed"
[ "$failed" -eq 0 ]
