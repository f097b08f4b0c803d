#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
# SPDX-License-Identifier: MIT
#
# Does what the README tells a newcomer to do, with the blocks of its section "From a fresh machine to a program" as they
# stand there: installs the library below a home folder of its own, builds the programs at the top of the page, runs them.
#
# usage: tests/packaging/newcomer.sh [--packages] FOLDER
#
#   --packages  runs the block about packages, too: as root, on a machine that may be changed
#   FOLDER      where all of it goes; must not exist
set -euo pipefail

source_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
packages=no
if [ "${1:-}" = --packages ]; then
    packages=yes
    shift
fi
if [ $# -ne 1 ] || [[ $1 == -* ]] || [ -e "$1" ]; then
    sed -n '5,11s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
fi
mkdir -p "$1"
work=$(cd "$1" && pwd)
mkdir "$work/blocks" "$work/home" "$work/repository" "$work/hello" "$work/tmp"

# blocks_of TITLE writes the code under this heading, or before the first one if it is empty, to NUMBER.LANGUAGE files.
blocks_of() {
    awk -v title="$1" -v folder="$work/blocks" '
        /^```/ && open { open = 0; close(file); next }
        open { print >file; next }
        /^#+ / { here = ($0 == title || (title == "" && !n)) }
        /^```/ && here { open = 1; n++; file = folder "/" (title == "" ? "top" : "section") n "." substr($0, 4) }
    ' "$source_dir/README.md"
}
blocks_of ""
blocks_of "### From a fresh machine to a program"

# When somebody changes the section, this is to be changed as well.
found=$(cd "$work/blocks" && echo *)
expected="section1.sh section2.sh section3.cmake section4.sh top1.cpp top2.cpp"
if [ "$found" != "$expected" ]; then
    echo "newcomer.sh: the README has $found, not $expected" >&2
    exit 1
fi

# run_block NAME FOLDER
run_block() {
    (
        cd "$2"
        export HOME=$work/home
        set -x
        # shellcheck disable=SC1090 # out of the README
        source "$work/blocks/$1"
    )
}

if [ $packages = yes ]; then
    echo 'APT::Get::Assume-Yes "true";' >"$work/apt.conf" # nobody is there to say yes
    APT_CONFIG=$work/apt.conf DEBIAN_FRONTEND=noninteractive run_block section1.sh "$work"
fi

# A fresh copy of the repository: nothing that somebody has built in it is of use.
(
    cd "$source_dir"
    if [ -e .git ]; then
        git ls-files -z --cached --others --exclude-standard --deduplicate
    else
        find . -path ./build -prune -o -type f -print0
    fi | while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done |
        xargs -0 cp --parents -t "$work/repository"
)
run_block section2.sh "$work/repository"

cp "$work/blocks/section3.cmake" "$work/hello/CMakeLists.txt"
cp "$work/blocks/top1.cpp" "$work/hello/server.cpp"
cp "$work/blocks/top2.cpp" "$work/hello/client.cpp"
run_block section4.sh "$work/hello"

export TMPDIR=$work/tmp # where nobody else has an "echo"
"$work/hello/build/server" &
server=$!
trap 'kill $server' EXIT
for ((tries = 0; tries < 300; tries++)); do
    [ ! -S "$TMPDIR/echo" ] || break
    kill -0 $server
    sleep 0.1
done
answer=$(timeout 60 "$work/hello/build/client" 2>&1)
if [ "$answer" != '"hello"' ]; then
    echo "newcomer.sh: the client says: $answer" >&2
    exit 1
fi
echo "$answer"
