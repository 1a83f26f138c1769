#!/bin/sh
# Puts what the roles install from where they are told to look.
set -eu
tar --extract --file /tmp/inputs.tar --directory /mnt --no-same-owner
rm /tmp/inputs.tar
