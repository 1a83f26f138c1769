#!/bin/sh
# On the surrogate: writes the base disk to the blank volume of SIZE_GB and lets root in by SSH with the file system LABEL
# as the whole world, so that Ansible works there as it does on a machine.
set -eu
appliance=/mnt/appliance

blank_disk() {
    lsblk --bytes --nodeps --noheadings --paths --output NAME,SIZE | while read -r name size; do
        # Its device name differs between instance types.
        if [ "$size" -eq $((SIZE_GB << 30)) ] && [ -z "$(wipefs --no-act "$name")" ]; then
            echo "$name"
        fi
    done
}

disk=$(blank_disk)
if [ "$(echo "$disk" | grep -c .)" -ne 1 ]; then
    echo "error: there must be one blank disk of $SIZE_GB GB, not: ${disk:-none}" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get -q update
apt-get -q -y install --no-install-recommends zstd
zstd --decompress --stdout /tmp/system.raw.zst | dd of="$disk" bs=4M conv=sparse,fsync status=none
rm /tmp/system.raw.zst
blockdev --rereadpt "$disk"
udevadm settle
mkdir "$appliance"
mount "/dev/disk/by-label/$LABEL" "$appliance"

for folder in dev proc sys; do
    mount --rbind --make-rslave "/$folder" "$appliance/$folder"
done
mount -t tmpfs tmpfs "$appliance/run"
mkdir -p "$appliance/run/systemd/resolve"
cp --dereference /etc/resolv.conf "$appliance/run/systemd/resolve/stub-resolv.conf"
# Packages that are installed there must not start their services here.
printf '#!/bin/sh\nexit 101\n' >"$appliance/usr/sbin/policy-rc.d"
chmod 755 "$appliance/usr/sbin/policy-rc.d"
tar --extract --file /tmp/inputs.tar --directory "$appliance/mnt" --no-same-owner
rm /tmp/inputs.tar

install -d -m 0700 /root/.ssh
cp "$(getent passwd "$SUDO_USER" | cut -d: -f6)/.ssh/authorized_keys" /root/.ssh/authorized_keys
cat >/etc/ssh/sshd_config.d/00-appliance.conf <<END
Match User root
    PermitRootLogin prohibit-password
    ChrootDirectory $appliance
END
systemctl reload ssh
