#!/bin/bash
# Runs the Molecule scenarios: converge, again for idempotence, verify with testinfra.
# Usage: roles/test-roles.sh [ROLE...]      without roles, all of them
# Needs build/wheels and build/model, which an image build leaves.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")"

export VV_BUILD=${VV_BUILD:-$PWD/../build}
export CONTAINERS_CONF=$PWD/containers.conf
export PATH=$PWD/../.venv/bin:$PATH
if [[ ! -e $VV_BUILD/wheels/service.txt || ! -e $VV_BUILD/model/model.json ]]; then
    echo "error: no wheels or model in $VV_BUILD" >&2
    echo "hint: run make image first" >&2
    exit 1
fi
./molecule-image.sh

if [[ $# -eq 0 ]]; then
    mapfile -t roles < <(find . -mindepth 3 -maxdepth 3 -path '*/molecule/default' -printf '%P\n' | cut -d/ -f1 | sort)
    set -- "${roles[@]}"
fi
# How many testinfra checks passed, by pytest's closing line.
checks() { sed -nE 's/.*= ([0-9]+) passed.*/\1/p' "$1" | tail -n 1; }

mkdir -p "$VV_BUILD/logs"
failed=()
for role in "$@"; do
    started=$SECONDS
    log=$VV_BUILD/logs/molecule-$role.log
    if (cd "$role" && VV_ROLE=$role molecule --base-config ../molecule-base.yml test) >"$log" 2>&1; then
        printf 'role %-13s passed in %3d s, %s checks\n' "$role" $((SECONDS - started)) "$(checks "$log")"
    else
        printf 'role %-13s FAILED after %3d s, see %s\n' "$role" $((SECONDS - started)) "$log"
        tail -n 60 "$log"
        failed+=("$role")
    fi
done
echo "$(($# - ${#failed[@]})) passed, ${#failed[@]} failed"
[[ ${#failed[@]} -eq 0 ]]
