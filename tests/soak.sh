#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
# SPDX-License-Identifier: MIT
#
# Everything at once for a long time: builds tst_soak as a release and runs it.
#
# usage: tests/soak.sh [--seconds N] [--seed N] [--help]
#
#   --seconds N  how long, default 600
#   --seed N     the plan; the one of a run that failed is in its output
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=../tools/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tools/setup.sh"

export QTNAMEDPIPES_SOAK_SECONDS=600
while [ $# -gt 0 ]; do
    case $1 in
        --seconds)
            export QTNAMEDPIPES_SOAK_SECONDS=${2:?--seconds needs a number}
            shift
            ;;
        --seed)
            export QTNAMEDPIPES_SOAK_SEED=${2:?--seed needs a number}
            shift
            ;;
        -h | --help)
            sed -n '5,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
            exit 0
            ;;
        *)
            echo "what is $1?" >&2
            exit 2
            ;;
    esac
    shift
done
[[ $QTNAMEDPIPES_SOAK_SECONDS =~ ^[1-9][0-9]*$ ]] || die "--seconds needs a number"

build_preset release
exec "$source_dir/build/release/bin/tst_soak"
