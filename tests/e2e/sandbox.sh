#!/bin/sh
# Runs in fresh network, mount and UTS namespaces: makes a pod of them, then becomes the container's process.
# The process with id 1 is the one that runs the suite, in the network that stands for the cluster's.
set -eu

hostname "$HOSTNAME"
link=pod$$
ip link add eth0 type veth peer name "$link" netns 1
nsenter --net=/proc/1/ns/net sh -ec "ip link set $link up; ip address add 169.254.1.1/32 dev $link; ip route add $SANDBOX_IP/32 dev $link"
ip link set lo up
ip link set eth0 up
ip address add "$SANDBOX_IP/32" dev eth0
ip route add 169.254.1.1 dev eth0
ip route add default via 169.254.1.1

mount --bind "$SANDBOX_FOLDER/hosts" /etc/hosts
mount --bind /dev/null /etc/resolv.conf
mount -t tmpfs pod /run
printf '%s\n' "$SANDBOX_MOUNTS" | while read -r volume path; do
    [ -n "$volume" ] || continue
    mkdir -p "$path"
    mount --bind "$SANDBOX_FOLDER/volumes/$volume" "$path"
done
if [ "$SANDBOX_READ_ONLY" = true ]; then
    mount -o remount,bind,ro /
fi
cd "$SANDBOX_ROOT"
unset SANDBOX_IP SANDBOX_FOLDER SANDBOX_MOUNTS SANDBOX_READ_ONLY SANDBOX_ROOT link
exec "$@"
