# shellcheck shell=sh
# A container engine in a root of its own, with a shell that takes commands from standard input. The
# shell is process 1 of its namespaces: when standard input closes, the kernel ends every container.
#
# $1 root with podman, $2 root of the base image, $3 the image's name, $4 folder for everything written,
# $5 the directory that images are built from
set -eu

mkdir -p "$4/upper" "$4/work" "$4/root" "$4/storage"
mount -t overlay overlay -o "lowerdir=$1,upperdir=$4/upper,workdir=$4/work" "$4/root"
cd "$4/root"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
# The kernel gives controllers to cgroups below this one only when it has no processes itself.
mkdir sys/fs/cgroup/engine
echo 0 >sys/fs/cgroup/engine/cgroup.procs
mount --rbind /dev dev
mount -t tmpfs tmpfs run
mkdir -p base context storage etc/containers
mount --bind "$2" base
mount --bind "$4/storage" storage
mount --bind "$5" context
rm -f etc/resolv.conf
cp -L /etc/resolv.conf etc/resolv.conf
# Settings that the recipes are not about: limits that only a larger machine may raise, and a bridge.
cat >etc/containers/containers.conf <<end
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
pids_limit = 0
netns = "none"
[engine]
cgroup_manager = "cgroupfs"
end
cat >etc/containers/storage.conf <<end
[storage]
driver = "overlay"
runroot = "/run/containers/storage"
graphroot = "/storage"
end
pivot_root . mnt
cd /context
umount -l /mnt
export HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin
tar -C /base -cf /var/tmp/base.tar .
podman import --quiet /var/tmp/base.tar "$3" 2>&1
rm /var/tmp/base.tar
echo "0 ready"
exec sh
