# ./dev fresh [--keep] [suite]: the README's two commands on a machine that has nothing but apt. Sourced by ./dev.
#
# A new Debian root (bookworm unless named), this tree with its uncommitted changes in it, ./dev quickstart and
# ./dev test inside.

fresh() {
    local keep='' suite root mirror stage start
    [ "${1:-}" = --keep ] && keep=yes && shift
    suite=${1:-bookworm}
    [ "$(id -u)" -eq 0 ] || die "making a root file system needs root; try: sudo ./dev fresh"
    setup fresh
    mirror=$(debian_mirror)
    [ -n "$mirror" ] || die "apt's sources name no Debian mirror to build a root from"
    root=$(mktemp -d /var/tmp/tenon-fresh.XXXXXX)
    chmod 755 "$root" # it becomes / for the server's unprivileged account too
    # shellcheck disable=SC2064
    trap "leave_fresh '$root' '$keep'" EXIT

    start=$SECONDS
    step "building a $suite root" debootstrap --variant=minbase "$suite" "$root" "$mirror" ||
        die "debootstrap could not build the root; all of its output is in build/dev.log"
    echo "root: $((SECONDS - start)) s"
    mkdir "$root/tenon"
    git ls-files --cached --others --exclude-standard -z | tar -c --null -T - | tar -x -C "$root/tenon"
    cp /etc/resolv.conf "$root/etc/resolv.conf"
    mount -t proc proc "$root/proc"
    mount -t tmpfs tmpfs "$root/dev/shm" # PostgreSQL's shared memory

    for stage in quickstart test test; do
        start=$SECONDS
        chroot "$root" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb /tenon/dev "$stage" ||
            die "./dev $stage failed in the fresh root"
        echo "$stage: $((SECONDS - start)) s"
    done
}

leave_fresh() {
    umount "$1/dev/shm" "$1/proc" 2>/dev/null || true
    if [ -n "$2" ]; then
        say "kept: $1"
    else
        rm -rf --one-file-system "$1"
    fi
}
