#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
# SPDX-License-Identifier: MIT
#
# Builds the documentation as HTML with qdoc, and installs what is missing on Debian and Ubuntu. A warning of qdoc or a
# local link that leads nowhere is a failure.
#
# usage: docs/build.sh [FOLDER]     default: build/docs; the first page is FOLDER/index.html
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=../tools/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tools/setup.sh"

if [ $# -gt 1 ] || [[ ${1:-} == -* ]]; then
    sed -n '5,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
fi
output=$(realpath -m "${1:-$source_dir/build/docs}")

need_packages "to build the documentation" qt6-documentation-tools qt6-base-dev qmake6 python3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

QT_INSTALL_DOCS=$(qmake6 -query QT_INSTALL_DOCS)
QT_INSTALL_HEADERS=$(qmake6 -query QT_INSTALL_HEADERS)
QTNAMEDPIPES_VERSION=$(sed -n 's/^    VERSION \([0-9.]*\)$/\1/p' "$source_dir/CMakeLists.txt")
QTNAMEDPIPES_PAGES=$work/pages # those that are Markdown in the repository
export QT_INSTALL_DOCS QT_INSTALL_HEADERS QTNAMEDPIPES_VERSION QTNAMEDPIPES_PAGES
mkdir "$QTNAMEDPIPES_PAGES"
python3 "$source_dir/docs/markdown-to-qdoc.py" "$QTNAMEDPIPES_PAGES" \
    coming-from-qlocalsocket="$source_dir/docs/coming-from-qlocalsocket.md" \
    coming-from-twinbasic="$source_dir/docs/coming-from-twinbasic.md" \
    wire-format="$source_dir/docs/wire-format.md" \
    clients="$source_dir/demo/clients/README.md" \
    examples="$source_dir/demo/examples/README.md" \
    example-service="$source_dir/demo/examples/07-service/README.md"

"$(qmake6 -query QT_INSTALL_BINS)/qdoc" "$source_dir/docs/qtnamedpipes.qdocconf" --outputdir "$work/html" \
    >"$work/log" 2>&1 || { cat "$work/log" >&2; die "qdoc failed"; }
if grep -i -A2 -E 'warning|error' "$work/log" >&2; then
    die "qdoc has warnings"
fi
python3 "$source_dir/docs/check-links.py" "$work/html"
rm -rf "$output"
mkdir -p "$(dirname "$output")"
mv "$work/html" "$output"
echo "$output/index.html"
