#!/bin/sh
# Installs what clusterctl needs to be built, shown and tested, if it is missing.
# Usage: install.sh demo|demo-pm2|picture|check|bench|deb|rpm|arch|dist [--list|--all]
#
# --list names what is missing, --all also what is there; neither installs anything.
# Works on Debian and its relatives, as root and for a user with sudo; elsewhere it names what to
# install and fails.
set -eu

# command or file that shows that the package is there, and the package
build='
cc gcc
/usr/include/stdio.h libc6-dev
'
demo='
/usr/lib/systemd/systemd systemd
dbus-daemon dbus-daemon
node nodejs
'
pm2='
npm npm
'
picture='
tmux tmux
curl curl
/usr/bin/python3 python3
'
check='
/usr/lib/systemd/systemd systemd
/usr/lib/*/security/pam_systemd.so libpam-systemd
/usr/lib/*/libnss_systemd.so.2 libnss-systemd
systemd-nspawn systemd-container
dbus-daemon dbus
/usr/lib/systemd/user/dbus.socket dbus-user-session
polkitd polkitd
mmdebstrap mmdebstrap
qemu-system-x86_64 qemu-system-x86
mke2fs e2fsprogs
strip binutils
node nodejs
/usr/bin/python3 python3
ip iproute2
ps procps
useradd passwd
curl curl
git git
rsync rsync
sudo sudo
tmux tmux
openssl openssl
strace strace
setcap libcap2-bin
mandoc mandoc
zsh zsh
fish fish
npm npm
/usr/lib/python3*/dist-packages/pip python3-pip
php php-cli
javac default-jdk-headless
gunicorn gunicorn
uvicorn uvicorn
puma puma
nginx nginx
/usr/sbin/php-fpm* php-fpm
lighttpd lighttpd
/usr/lib/uwsgi/plugins/python3_plugin.so uwsgi-plugin-python3
apache2 apache2-bin
haproxy haproxy
ssh openssh-client
sshd openssh-server
socat socat
ansible-playbook ansible-core
redis-server redis-server
go golang-go
/usr/share/perl5/HTTP/Daemon.pm libhttp-daemon-perl
/usr/lib/python3*/test/test_socket.py libpython3.11-testsuite
bundle ruby-bundler
poetry python3-poetry
docker-compose docker-compose
/usr/lib/*/libjemalloc.so.2 libjemalloc2
musl-gcc musl-tools
/etc/ssl/certs/ca-certificates.crt ca-certificates
'
bench='
wrk wrk
'
deb='
dh debhelper
dpkg-buildpackage dpkg-dev
'
rpm='
rpmbuild rpm
'
arch='
makepkg makepkg
pacman pacman-package-manager
bsdtar libarchive-tools
fakeroot fakeroot
setpriv util-linux
'
# A cross compiler and an emulator, for the programs of the other architecture.
cross='
aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu
/usr/aarch64-linux-gnu/include/stdio.h libc6-dev-arm64-cross
qemu-aarch64 qemu-user
'
dist='
mmdebstrap mmdebstrap
objdump binutils
'
lint='
lintian lintian
rpmlint rpmlint
'

there() {
    case $1 in
    /*)
        # shellcheck disable=SC2086 # a pattern
        set -- $1
        [ -e "$1" ]
        ;;
    # polkitd lies in a folder that no PATH names.
    polkitd) [ -x /usr/lib/polkit-1/polkitd ] || [ -x /usr/libexec/polkitd ] ;;
    *) command -v "$1" >/dev/null ;;
    esac
}

case ${1:-check} in
demo) wanted=$build$demo ;;
demo-pm2) wanted=$build$demo$pm2 ;;
picture) wanted=$build$demo$picture ;;
deb) wanted=$build$deb ;;
rpm) wanted=$build$rpm ;;
arch) wanted=$build$arch ;;
dist) wanted=$build$deb$rpm$arch$cross$dist ;;
bench) wanted=$build$check$cross$bench ;;
*) wanted=$build$check$cross$deb$rpm$arch$lint ;;
esac

missing=$(printf '%s' "$wanted" | while read -r sign package; do
    [ -z "$sign" ] || { [ "${2:-}" != --all ] && there "$sign"; } || printf '%s ' "$package"
done)
[ -n "$missing" ] || exit 0

case ${2:-} in --list | --all)
    echo "$missing"
    exit 0
    ;;
esac
sudo=
[ "$(id -u)" = 0 ] || sudo=$(command -v sudo || :)
if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ] && [ -z "$sudo" ]; then
    echo "missing: $missing" >&2
    echo "install these (on Debian as root: apt-get install $missing), then try again" >&2
    exit 1
fi
echo "== installing $missing(some minutes for the tests, half a minute for the demo)"
apt() {
    # The pty is where dpkg would ask and draw.
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@" >/dev/null
}
# What serves here is for machines that the tests boot: nothing of it shall run on this one.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap '$sudo rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' | $sudo tee "$policy" >/dev/null
    $sudo chmod +x "$policy"
fi
apt update
# shellcheck disable=SC2086 # a list of words
apt install -y --no-install-recommends $missing
for unit in nginx lighttpd haproxy redis-server php8.2-fpm ssh; do
    case $unit in ssh) package=openssh-server ;; *) package=$(echo "$unit" | tr -d 0-9.) ;; esac
    case " $missing " in *" $package "*) $sudo systemctl disable --quiet "$unit.service" ;; esac
done
