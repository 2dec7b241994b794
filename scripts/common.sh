# shellcheck shell=bash disable=SC2034
# Sourced by the scripts beside it: packages, steps that end with the script, builds. Bash; the caller has set -euo pipefail.
# Never: writes outside of build/ and of what apt installs.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit

# What a build needs; cmake/dependencies.cmake looks for the libraries among them.
build_packages=(g++ cmake ninja-build pkg-config libevent-dev libinih-dev libre2-dev libc-ares-dev zlib1g-dev libssl-dev libxxhash-dev libmaxminddb-dev libfmt-dev prometheus-cpp-dev nlohmann-json3-dev)

say() { printf '\n== %s\n' "$*"; }
die() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

# Installs those of the packages that are missing.
install_packages() {
    local package missing=() privileged=()
    for package; do
        [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || die "not root and no sudo: first install ${missing[*]}"
        privileged=(sudo)
    fi
    say "installing ${missing[*]}"
    "${privileged[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q update
    "${privileged[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends "${missing[@]}"
}

# What is running: number of the process, and whom to tell when the script ends. Each leads a process group of its own,
# so that a terminal's Ctrl-C reaches only the script, which ends them in order.
declare -A children=()

start() {  # COMMAND...: in the background; its number is in $started. It is expected to end its own children
    set -m
    "$@" </dev/null &
    started=$!
    set +m
    children[$started]=$started
}

step() {  # COMMAND...: waits for it; when the script is ended, it is too, with everything it started
    local status=0
    start "$@"
    children[$started]=-$started
    wait "$started" || status=$?
    unset "children[$started]"
    return "$status"
}

# Ends what is still running, calls at_exit if the script has one, gives the build back to whoever called sudo, and
# keeps the exit status.
leave() {
    local status=$? child
    trap '' INT TERM HUP
    set +e
    for child in "${children[@]}"; do kill -TERM -- "$child" 2>/dev/null; done
    wait 2>/dev/null
    if declare -F at_exit >/dev/null; then at_exit; fi
    if [ -n "${SUDO_UID:-}" ] && [ -d build ]; then chown -R "$SUDO_UID:${SUDO_GID:-$SUDO_UID}" build; fi
    exit "$status"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

# Where this machine's apt has the main part of a suite from; nothing when it has no source for it.
mirror_of() {  # SUITE
    # shellcheck disable=SC2016 # apt expands it
    apt-get indextargets --format '$(REPO_URI)' "Codename: $1" 'Component: main' 'Created-By: Packages' | head -n 1
}

# In a bootstrapped root, packages come from where they come from here: sources, their keys, proxies. Not the hooks, which
# belong to this machine.
copy_apt_sources() {  # SUITE ROOT
    local suite=$1 root=$2 file folder
    rm -f "$root"/etc/apt/sources.list
    mkdir -p "$root/etc/apt/sources.list.d" "$root/etc/apt/apt.conf.d"
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
        if [ -f "$file" ] && grep -q "$suite" "$file"; then cp "$file" "$root${file%/*}/"; fi
    done
    for folder in /etc/apt/trusted.gpg.d /etc/apt/keyrings /etc/apt/auth.conf.d /usr/share/keyrings; do
        if [ -d "$folder" ]; then mkdir -p "$root$folder" && cp -r "$folder/." "$root$folder/"; fi
    done
    apt-config dump | grep -E '^Acquire::(http|https|Check-Valid-Until|Check-Date|Languages|Retries)' \
        > "$root/etc/apt/apt.conf.d/90from-outside" || true
    cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
}

configure() {  # PRESET [CMAKE ARGUMENT...]
    local preset=$1
    shift
    if command -v ccache >/dev/null; then set -- -DCMAKE_CXX_COMPILER_LAUNCHER=ccache "$@"; fi
    step cmake --preset "$preset" "$@"
}
