#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
# SPDX-License-Identifier: MIT
#
# Checks that the C++ files which git knows are formatted as .clang-format says.
#
# usage: tools/format.sh          says what is not, exit code 1
#        tools/format.sh --fix    formats them
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

case ${1:-} in
    "") options=(--dry-run --Werror) ;;
    --fix) options=(-i) ;;
    *)
        sed -n '5,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
        exit 2
        ;;
esac

need_packages "to check the format" clang-format git
cd "$source_dir"
# New files count, too, unless git ignores them; a deleted one that is not committed yet does not.
mapfile -t files < <(git ls-files --cached --others --exclude-standard --deduplicate -- '*.h' '*.cpp' |
    while read -r file; do [ ! -e "$file" ] || echo "$file"; done)
[ ${#files[@]} -gt 0 ] || die "no C++ file found"
clang-format "${options[@]}" "${files[@]}"
echo "${#files[@]} files formatted"
