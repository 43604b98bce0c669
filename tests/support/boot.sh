# shellcheck shell=sh
# Boots one machine, and ends when the machine ends. This script is PID 1 of a pid and mount
# namespace of its own: when it exits, the kernel kills every process of the machine and drops every
# mount, so that nothing stays behind, whatever happened to the test. It exits when its standard
# input closes.
#
# $1 name, $2 directory of the root, $3 any text: the root is booted as it is, without an overlay
set -eu

layers=/mnt # our own mount namespace: nobody else sees what is mounted here
mount -t tmpfs -o mode=0755 clusterctl-boot "$layers"
mkdir "$layers/upper" "$layers/work" "$layers/root"
mount -t overlay overlay \
    -o "lowerdir=$2,upperdir=$layers/upper,workdir=$layers/work" "$layers/root"
cd "$layers/root"

furnish() {
    # Only units that the distribution enables; none that this host's admin enabled.
    rm -rf etc/systemd/system etc/systemd/user etc/rc?.d var/log/journal var/lib/systemd/linger
    rm -f etc/fstab etc/hostname
    mkdir etc/systemd/system
    for unit in getty.target console-getty.service apt-daily.timer apt-daily-upgrade.timer \
        systemd-networkd.service systemd-networkd-wait-online.service systemd-timesyncd.service \
        systemd-firstboot.service dev-hugepages.mount; do
        ln -s /dev/null "etc/systemd/system/$unit"
    done
    ln -s /lib/systemd/system/multi-user.target etc/systemd/system/default.target
    echo "$1" >etc/hostname
    # A missing machine-id would make this a first boot, which enables units by preset.
    tr -d - </proc/sys/kernel/random/uuid >etc/machine-id
}
[ -n "$3" ] || furnish "$1"
cd /

# nspawn ends with 133 when the machine asks for a reboot.
boot() {
    while :; do
        status=0
        systemd-nspawn --machine="$1" --directory="$layers/root" --boot --console=pipe \
            --keep-unit --register=no --notify-ready=yes --private-network \
            --link-journal=no --resolv-conf=off --timezone=off </dev/null || status=$?
        [ "$status" = 133 ] || exit "$status"
    done
}
boot "$1" &
exec 1>&- 2>&-
cat >/dev/null
