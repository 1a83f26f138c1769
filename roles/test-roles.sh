#!/bin/bash
# Runs the Molecule scenarios, one on each core: converge, again for idempotence, again in check mode, verify with testinfra.
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

# Exit status 1 when the role's scenario fails.
test_role() {
    local role=$1 started=$SECONDS log=$VV_BUILD/logs/molecule-$1.log
    if (cd "$role" && VV_ROLE=$role molecule --base-config ../molecule-base.yml test) >"$log" 2>&1; then
        printf 'role %-13s passed in %3d s, %s checks\n' "$role" $((SECONDS - started)) "$(checks "$log")"
    else
        printf 'role %-13s FAILED after %3d s, see %s\n%s\n' "$role" $((SECONDS - started)) "$log" "$(tail -n 60 "$log")"
        return 1
    fi
}
export -f checks test_role

mkdir -p "$VV_BUILD/logs"
outcomes=$(mktemp)
trap 'rm -f "$outcomes"' EXIT
# Side by side: a scenario keeps one core busy.
printf '%s\n' "$@" | xargs -P "$(nproc)" -I '{}' bash -c "test_role {} || echo {} >>$outcomes"
failed=$(wc -l <"$outcomes")
echo "$(($# - failed)) passed, $failed failed"
[[ $failed -eq 0 ]]
