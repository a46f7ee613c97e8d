#!/bin/sh
# Boots the Debian in a folder, whose systemd becomes process 1 of namespaces of its own,
# without network but loopback. Runs until it is powered off or killed; then all of it is
# gone. tests/deb.sh uses it.
#
#   sh tests/systemd.sh ROOT    as root; the Debian has the package systemd
#
# The only child of this process is that systemd: nsenter --target.
set -eu
if [ -z "${SLUICE_BOOT:-}" ]; then
  export SLUICE_BOOT=1
  exec unshare --mount --pid --cgroup --net --uts --ipc --fork --kill-child \
    sh "$0" "$@"
fi

root=$1
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
mkdir "$root/dev/pts" "$root/dev/shm"
# Nodes of its own: systemd's PrivateDevices= makes them again, and finds no node that is a
# mount.
for node in null zero full random urandom tty; do
  cp -a "/dev/$node" "$root/dev/$node"
done
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
cd "$root"
pivot_root . mnt
umount -l /mnt
# Services get mounts of their own, which needs shared ones here.
mount --make-rshared /
exec env -i container=sluice PATH=/usr/sbin:/usr/bin:/sbin:/bin \
  /lib/systemd/systemd --system
