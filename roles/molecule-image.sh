#!/bin/bash
# Makes the container image that the Molecule scenarios start: bare Debian of the appliance's suite with systemd,
# and the roles' packages already downloaded (not installed), so that the scenarios need no network.
# Usage: roles/molecule-image.sh [--force]     Does nothing when the image was made from the same inputs.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

image=localhost/voice-verify-rootfs

mapfile -t facts < <(python3 - <<'PYTHON'
from pathlib import Path

import yaml

print(yaml.safe_load(Path("appliance.yml").read_text())["os"]["suite"])
version = str(yaml.safe_load(Path("appliance.yml").read_text())["os"]["postgresql"])
names = set()
for path in sorted(Path("roles").glob("*/defaults/main.yml")):
    for key, value in (yaml.safe_load(path.read_text()) or {}).items():
        if key.endswith("_packages"):
            names.update(name.replace("{{ postgresql_version }}", version) for name in value)
print(" ".join(sorted(names)))
PYTHON
)
suite=${facts[0]} packages=${facts[1]}
wanted=$(cat roles/molecule-image.sh <(echo "$suite $packages") | sha256sum | cut -d' ' -f1)

if [[ ${1:-} != --force && $(podman image inspect --format '{{ index .Labels "inputs" }}' "$image" 2>/dev/null) == "$wanted" ]]; then
    exit 0
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# The archives that this machine itself is configured to use.
# shellcheck disable=SC2016 # apt-get itself expands these
archive() { apt-get indextargets --format '$(LABEL)|$(REPO_URI)' 'Created-By: Packages' | sed -n "s/^$1|//p" | head -1; }
debian=$(archive Debian) security=$(archive Debian-Security)
if [[ -z $debian || -z $security ]]; then
    echo "error: apt on this machine has no source labelled Debian and Debian-Security" >&2
    echo "hint: run apt-get update" >&2
    exit 1
fi
echo "making $image ($suite) ..."
mmdebstrap --quiet --variant=minbase --components=main \
    --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
    --include=ca-certificates,dbus,e2fsprogs,init,iproute2,kmod,libpam-systemd,openssh-server,python3,python3-apt \
    --include=systemd-resolved,systemd-sysv,udev \
    --skip=cleanup/apt \
    --customize-hook="APT_CONFIG=\$MMDEBSTRAP_APT_CONFIG apt-get -y --download-only install $packages" \
    "$suite" "$scratch/rootfs.tar" \
    "deb $debian $suite main" "deb $debian $suite-updates main" "deb $security $suite-security main"
podman import --quiet --change 'CMD ["/sbin/init"]' --change "LABEL inputs=$wanted" "$scratch/rootfs.tar" "$image" >/dev/null
echo "made $image"
