#!/bin/sh
# On the surrogate, after the roles: takes out what belongs to the build and leaves a clean file system for the snapshot.
set -eu
appliance=/mnt/appliance
rm /etc/ssh/sshd_config.d/00-appliance.conf
systemctl reload ssh

# What still lives there: Ansible's kept connection, and nothing else.
for process in /proc/[0-9]*; do
    if [ "$(readlink "$process/root" 2>/dev/null)" = "$appliance" ]; then
        kill -KILL "${process#/proc/}" || true
    fi
done
rm -rf "$appliance/mnt/wheelhouse" "$appliance/mnt/model" "$appliance/root/.ssh" "$appliance/root/.ansible"
rm -f "$appliance"/etc/ssh/ssh_host_* "$appliance/usr/sbin/policy-rc.d" "$appliance/var/lib/systemd/random-seed"
: >"$appliance/etc/machine-id"
disk=$(findmnt --noheadings --output SOURCE "$appliance")
umount --recursive "$appliance"
e2fsck -f -p "$disk"
