# ./dev setup: installs what is missing, and nothing else. Sourced by ./dev, run from the project's root.
#
# Tools and libraries come from the distribution. Where it is too old for three of the libraries (Debian 12:
# libpqxx, Catch2 and Boost.PFR), their pinned upstream sources come from Debian 13's archive, through a private
# apt configuration: adding Debian 13 to the system's own sources would upgrade libc.

third_party=build/third_party
asked_compiler=${CXX:-}
export LC_ALL=C.UTF-8 # tool output is parsed below

setup() {
    local group=$1 stamp=$third_party/.setup-$1
    case $group in
        quickstart | test | bench | asan | tidy | format | fresh) ;;
        *) die "setup knows quickstart, test, bench, asan, tidy, format and fresh, not '$group'" ;;
    esac
    [ "$(cat "$stamp" 2>/dev/null)" = "$(setup_key)" ] && return
    mkdir -p "$third_party"
    check_compiler
    install_packages "$group"
    [ "$group" != test ] || offer spin
    case $group in
        format | fresh) ;;
        *)
            check_compiler
            check_cmake
            check_server
            fill_third_party "$group"
            ;;
    esac
    setup_key >"$stamp"
}

# Any package change, any change of these rules and another compiler make a stamp void.
setup_key() {
    printf '%s %s %s\n' "$(stat -c %Y /var/lib/dpkg/status 2>/dev/null)" \
        "$(cat tools/setup.sh cmake/dependencies.cmake | cksum)" "$asked_compiler"
}

# --- what is there -----------------------------------------------------------------------------------

# has <package>: asks for the thing, not for the package, so that a tool installed another way counts.
has() {
    case $1 in
        g++) [ -n "$(compiler)" ] ;;
        ninja-build) have ninja ;;
        postgresql) [ -n "$(server_bin initdb)" ] ;;
        libpq-dev) has_header libpq-fe.h ;;
        nlohmann-json3-dev) has_header nlohmann/json.hpp ;;
        prometheus-cpp-dev) has_header prometheus/registry.h ;;
        libbenchmark-dev) has_header benchmark/benchmark.h ;;
        libsoci-dev) has_header soci/soci.h ;;
        libboost-dev) has_header boost/fusion/algorithm/iteration/for_each.hpp ;; # what SOCI includes
        clang) have clang++ ;;
        libclang-rt-dev) have clang++ && compgen -G "$(clang++ -print-resource-dir)/lib/*/libclang_rt.asan*.a" >/dev/null ;;
        *) have "$1" ;;
    esac
}

have() { command -v "$1" >/dev/null; }

has_header() {
    local folder
    for folder in /usr/include /usr/include/postgresql /usr/local/include ${CPATH:+${CPATH//:/ }}; do
        [ -e "$folder/$1" ] && return
    done
    return 1
}

compiler() { command -v "${CXX:-g++}" || { [ -z "${CXX:-}" ] && command -v clang++; } || true; }

# The newest server's program: distributions keep them outside PATH.
server_bin() {
    { compgen -G "/usr/lib/postgresql/*/bin/$1" || true; compgen -G "/usr/pgsql-*/bin/$1" || true; } |
        sort -V | tail -n 1 | grep . || command -v "$1" || true
}

check_compiler() {
    local found version wanted=12 name=g++
    found=$(compiler)
    [ -n "$found" ] || { [ -z "${CXX:-}" ] && return; die "CXX is '$CXX', which is not there; unset it or name a compiler"; }
    if "$found" --version | grep -q clang; then wanted=14 name=clang; fi
    version=$("$found" -dumpversion)
    [ "${version%%.*}" -ge "$wanted" ] || die "$found is $name $version, and tenon needs g++ 12 or clang 14;" \
        "install a newer one and name it: CXX=g++-12 ./dev ..."
    export CXX=$found
}

check_cmake() {
    local version
    version=$(cmake --version | sed -n '1s/[^0-9]*//p')
    printf '3.25\n%s\n' "$version" | sort -VC ||
        die "cmake is $version, and tenon needs 3.25; install a newer one and put it first in PATH"
}

check_server() {
    local version
    version=$("$(server_bin initdb)" --version | sed -E 's/[^0-9]*([0-9]+).*/\1/')
    [ "$version" -ge 15 ] || die "the newest PostgreSQL server here is $version, and tenon needs 15;" \
        "install a newer one (on Debian and Ubuntu: from PostgreSQL's own apt repository)"
}

# --- packages ----------------------------------------------------------------------------------------

install_packages() {
    local group=$1 wanted optional="" missing=() package
    wanted="g++ cmake ninja-build libpq-dev postgresql nlohmann-json3-dev"
    case $group in
        test) wanted+=" ccache pkg-config" optional="prometheus-cpp-dev" ;;
        bench) wanted+=" libbenchmark-dev valgrind" optional="libsoci-dev libboost-dev" ;;
        asan) wanted+=" ccache pkg-config clang libclang-rt-dev" ;;
        tidy) wanted+=" $clang_tidy" ;;
        format) wanted=$clang_format ;;
        fresh) wanted=debootstrap ;;
    esac
    # The build does without these; where there is no apt they are not asked for.
    have apt-get && wanted+=" $optional"
    for package in $wanted; do
        has "$package" || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    have apt-get || die "missing: ${missing[*]} (Debian's names), and there is no apt here to install them;" \
        "install your distribution's packages of the same (Fedora: gcc-c++ cmake ninja-build libpq-devel" \
        "postgresql-server json-devel) and run this again"
    become_root "${missing[*]}"
    step "reading the package lists" "${as_root[@]}" apt-get update || true # an unrelated source may be broken
    keep_system_cluster_away "${missing[*]}"
    apt_install "${missing[@]}"
    allow_system_cluster
}

# offer <package>: for what only adds tests, and nobody is to be asked a password for. Without it they are left out.
offer() {
    { has "$1" || ! have apt-get; } && return
    as_root=()
    [ "$(id -u)" -eq 0 ] || { have sudo && sudo -n true 2>/dev/null && as_root=(sudo); } || return 0
    step "reading the package lists" "${as_root[@]}" apt-get update || true
    apt_get_install "$1" || say "going on without $1, and without the tests that need it"
}

apt_get_install() {
    step "installing with apt: $*" "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --yes \
        --no-install-recommends -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 "$@"
}

apt_install() {
    become_root "$*"
    apt_get_install "$@" && return
    allow_system_cluster
    die "apt could not install $*: $(apt_error); check the network and apt's sources, then run this again"
}

become_root() {
    as_root=()
    [ "$(id -u)" -eq 0 ] && return
    have sudo && sudo -v && as_root=(sudo) && return
    die "installing needs root; have this run, then call ./dev again:" \
        "apt-get update && apt-get install --no-install-recommends $1"
}

apt_error() { grep -m 1 '^E: ' build/dev.log || tail -n 1 build/dev.log; }

# Debian's server package creates and starts a cluster of its own on port 5432. tenon needs the programs only, so
# that is switched off while apt runs, unless the machine has made its own choice already.
cluster_switch=/etc/postgresql-common/createcluster.conf
switched_off=

keep_system_cluster_away() {
    [[ " $1 " == *" postgresql "* ]] && [ ! -e "$cluster_switch" ] || return 0
    "${as_root[@]}" mkdir -p "${cluster_switch%/*}"
    echo "create_main_cluster = false" | "${as_root[@]}" tee "$cluster_switch" >/dev/null
    switched_off=yes
}

allow_system_cluster() {
    local default=/usr/share/postgresql-common/createcluster.conf
    [ -n "$switched_off" ] || return 0
    if [ -e "$default" ]; then
        "${as_root[@]}" cp "$default" "$cluster_switch"
    else
        "${as_root[@]}" rm -f "$cluster_switch"
    fi
    switched_off=
}

# --- sources from Debian 13's archive ----------------------------------------------------------------

fill_third_party() {
    local group=$1 wanted=()
    absent pfr && ! has_header boost/pfr/core_name.hpp && wanted+=(pfr)
    absent libpqxx && ! system_provides libpqxx-dev 7.9 8 && wanted+=(libpqxx)
    case $group in
        test | asan) absent catch2 && ! system_provides catch2 3 4 && wanted+=(catch2) ;;
    esac
    [ ${#wanted[@]} -eq 0 ] || fetch_from_archive "${wanted[@]}"
}

absent() { [ ! -d "$third_party/$1" ]; }

# system_provides <package> <lowest> <below>: installed, or installed now from a distribution that is new enough.
system_provides() {
    local version
    have apt-get || return 0
    version=$(apt-cache policy "$1" | sed -n 's/^  Candidate: //p')
    dpkg --compare-versions "${version:-0}" ge "$2" && dpkg --compare-versions "$version" lt "$3" || return 1
    dpkg -s "$1" >/dev/null 2>&1 || apt_install "$1"
}

fetch_from_archive() {
    local keyring=/usr/share/keyrings/debian-archive-keyring.gpg mirror scratch name
    mirror=$(debian_mirror)
    if [ -z "$mirror" ] || [ ! -e "$keyring" ]; then
        say "not Debian: CMake will download the pinned upstream release of $*"
        return
    fi
    scratch=$(mktemp -d "$PWD/$third_party/.apt.XXXXXX")
    # shellcheck disable=SC2064
    trap "rm -rf '$scratch'" EXIT
    private_apt "$scratch" "$mirror" "$keyring"
    say "fetching from Debian 13's archive: $*"
    step "reading Debian 13's package lists" apt_13 update --error-on=any ||
        die "Debian 13's lists cannot be read from this machine's Debian mirror: $(apt_error);" \
            "check the network, or that the mirror carries trixie"
    for name; do
        step "fetching $name" "take_$name" ||
            die "$name could not be fetched from Debian 13's archive: $(apt_error); run this again"
    done
    rm -rf "$scratch"
}

# The machine's own Debian mirror. apt reads its own sources, in both formats, better than a parser here would.
debian_mirror() {
    have apt-get || return 0
    apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' 'Created-By: Packages' |
        sed -n 's/^Debian|Debian|//p' | head -n 1
}

# An apt of its own: nothing of the system's sources, lists, cache or status is read or written. The archive's
# signature is checked against Debian's keyring, and the sources against CMake's pinned hashes.
private_apt() {
    local scratch=$1 mirror=$2 keyring=$3
    mkdir -p "$scratch"/{state/lists/partial,cache/archives/partial,sources,files}
    cat >"$scratch/sources/trixie.sources" <<EOF
Types: deb deb-src
URIs: $mirror
Suites: trixie
Components: main
Signed-By: $keyring
EOF
    cat >"$scratch/apt.conf" <<EOF
Dir::State "$scratch/state";
Dir::State::status "/dev/null";
Dir::Cache "$scratch/cache";
Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts "$scratch/sources";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Acquire::Languages "none";
APT::Sandbox::User "$(id -un)";
EOF
    apt_13() { (cd "$scratch/files" && apt-get -c "$scratch/apt.conf" "$@"); }
}

# Of Boost, PFR's headers alone: they include nothing else of it.
take_pfr() {
    apt_13 download libboost1.88-dev
    mkdir -p "$scratch/pfr"
    dpkg-deb --fsys-tarfile "$scratch"/files/libboost1.88-dev_*.deb |
        tar -x -C "$scratch/pfr" --strip-components 2 ./usr/include/boost/pfr.hpp ./usr/include/boost/pfr
    dpkg-deb --fsys-tarfile "$scratch"/files/libboost1.88-dev_*.deb |
        tar -xO ./usr/share/doc/libboost1.88-dev/copyright >"$scratch/pfr/LICENSE"
    put pfr
}

take_libpqxx() { take_source libpqxx; }
take_catch2() { take_source catch2; }

take_source() {
    local name=$1 tarball hash
    apt_13 source --download-only --tar-only "$name"
    tarball=$(compgen -G "$scratch/files/${name}_*.orig.tar.gz")
    hash=$(sed -n "/tenon_fetch($name\$/,/SHA256=/ s/.*SHA256=//p" cmake/dependencies.cmake)
    echo "${hash%)} $tarball" | sha256sum --check ||
        { echo "E: $name is not the release that cmake/dependencies.cmake pins"; return 1; }
    mkdir -p "$scratch/$name"
    tar -xzf "$tarball" -C "$scratch/$name" --strip-components 1
    put "$name"
}

put() {
    rm -rf "${third_party:?}/$1"
    mv "$scratch/$1" "$third_party/$1"
}
