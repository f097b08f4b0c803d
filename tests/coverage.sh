#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
# SPDX-License-Identifier: MIT
#
# Which lines and branches of the library the tests reach: builds with counters, runs the suites, prints a table, and the
# lines below the public classes that were never reached.
#
# usage: tests/coverage.sh [--windows] [--filter REGEX] [--exclude REGEX] [--help]
#
#   --windows        Windows programs under Wine: of the lines never reached, those of the engine for Windows
#   --filter REGEX   only suites whose name matches (as ctest -R)
#   --exclude REGEX  none whose name matches (as ctest -E): '^tst_(soak|storm)$' leaves out the longest
#
# Pages with every line: build/coverage/html/index.html, or build/coverage-windows. The exit code is that of the suites.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=../tools/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tools/setup.sh"

usage() {
    sed -n '5,14s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
}

preset=coverage
gcov=gcov
rooms='src/(core|epoll)'
stress=20
suites=(-R .)
while [ $# -gt 0 ]; do
    case $1 in
        --windows)
            preset=coverage-windows
            gcov=x86_64-w64-mingw32-gcov-posix
            rooms=src/iocp # all that the other run does not see
            stress=5
            ;;
        --filter)
            suites+=(-R "${2:?--filter needs a regular expression}")
            shift
            ;;
        --exclude)
            suites+=(-E "${2:?--exclude needs a regular expression}")
            shift
            ;;
        -h | --help)
            usage
            exit 0
            ;;
        *)
            usage >&2
            exit 2
            ;;
    esac
    shift
done

need_test_packages
need_packages "to count what the tests reach" gcovr
build=$source_dir/build/$preset
if [ $preset = coverage-windows ]; then
    # In the build tree, so that ending its Wine server hurts nobody else.
    export QTNAMEDPIPES_WINEPREFIX=${QTNAMEDPIPES_WINEPREFIX:-$build/wine}
    need_windows_qt
    trap '"$source_dir/tests/support/wine-run.sh" --end' EXIT
    "$source_dir/tests/support/wine-run.sh" --prepare
fi

say "Build"
build_preset $preset
find "$build" -name '*.gcda' -delete # counts of an earlier run

say "Tests"
status=0
(cd "$source_dir" && QTNAMEDPIPES_STRESS=${QTNAMEDPIPES_STRESS:-$stress} QTNAMEDPIPES_TEST_LOG_DIR=$build/test-logs/1 \
    ctest --preset $preset "${suites[@]}") || status=$?

say "Counting"
# Only the library's own objects: tests include its headers, too, and what they make of them says nothing. Branches that
# only an exception takes are not counted, nor are those that the compiler adds.
rm -rf "$build/html" "$build/coverage.json"
mkdir -p "$build/html"
gcovr --root "$source_dir" --gcov-executable $gcov --filter 'src/' --exclude-throw-branches --exclude-unreachable-branches \
    --json "$build/coverage.json" --html-details "$build/html/index.html" \
    "$build/src/CMakeFiles/QtNamedPipesObjects.dir" >"$build/gcovr.log" 2>&1 ||
    die "gcovr: $(tail -n 3 "$build/gcovr.log")"

python3 - "$build/coverage.json" "$rooms" <<'EOF'
import collections, json, os, re, sys

rooms = collections.defaultdict(lambda: [0, 0, 0, 0])
missed = collections.defaultdict(list)
for file in json.load(open(sys.argv[1]))["files"]:
    room = os.path.dirname(file["file"])
    counts = rooms[room]
    for line in file["lines"]:
        if line.get("gcovr/noncode"):
            continue
        counts[0] += line["count"] > 0
        counts[1] += 1
        counts[2] += sum(branch["count"] > 0 for branch in line["branches"])
        counts[3] += len(line["branches"])
        if not line["count"] and re.fullmatch(sys.argv[2], room):
            missed[file["file"]].append(str(line["line_number"]))

print(f"{'room':<12}{'lines':>16}{'':>9}{'branches':>15}")
rooms["all"] = [sum(column) for column in zip(*rooms.values())]
for room, (lines, all_lines, branches, all_branches) in rooms.items():
    print(f"{room:<12}{lines:>8} of {all_lines:>4} {100 * lines / max(all_lines, 1):>6.1f} %"
          f"{branches:>8} of {all_branches:>4} {100 * branches / max(all_branches, 1):>6.1f} %")
print("\nNever reached:")
for name, lines in missed.items():
    print(f"  {name}: {' '.join(lines)}")
EOF
printf '\nEvery line: %s\n' "$build/html/index.html"
exit "$status"
