# Sourced by its siblings, never run: finds, or makes, the virtual environment that they work in.
# It speaks on standard error only, so that what a script prints is what its command printed.
#
#   prepare run        what the relay needs
#   prepare dev        and what its checks need
#   prepare browser    and Chromium, for the tests that drive one
#   prepare lock       only uv, which writes constraints.txt
#
# RELAY_VENV names another place than .venv; PYTHON another Python than the first that is new enough.
# shellcheck shell=sh

me=scripts/${0##*/}
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
venv=${RELAY_VENV:-$root/.venv}
case $venv in /*) ;; *) venv=$PWD/$venv ;; esac
stamp=$venv/.relay # what was installed, for which checkout; absent while an installation is under way

prepare() {
    kind=$1
    sum="$(cat "$root/pyproject.toml" "$root/constraints.txt" 2>/dev/null | cksum) $root"
    if ! is_ready || [ -n "$(missing_packages)" ]; then
        mkdir -p "$(dirname -- "$venv")"
        (lock && set_up) 9>>"$venv.lock" || exit 1
    fi
    home
    export PATH="$venv/bin:$PATH"
}

set_up() {
    wants="Python 3.11 or newer with its venv module"
    [ -z "${PYTHON:-}" ] || find_python || die "needs $wants, and PYTHON=$PYTHON is not"
    packages=$(missing_packages)
    # shellcheck disable=SC2086 # one word a package
    [ -z "$packages" ] || need $packages || [ -z "${CI:-}" ] || die "CI goes no further without"
    is_ready && return 0
    find_python || die "needs $wants"
    install
}

say() {
    printf '%s: %s\n' "$me" "$*" >&2
}

die() {
    say "$@"
    exit 1
}

# Silent as long as it works, and everything that was said when it does not.
quietly() {
    said=$("$@" 2>&1 </dev/null) && return 0
    failed=$?
    printf '%s\n' "$said" >&2
    return "$failed"
}

# --- what the system has to bring ---------------------------------------------------------------------------------------------

missing_packages() {
    is_ready || find_python || echo python3 python3-venv
    [ "$kind" = browser ] || return 0
    command -v chromium >/dev/null || echo chromium
    # Playwright's driver is linked against it, and Debian's smallest systems do not have it.
    ! command -v dpkg >/dev/null || dpkg -s libatomic1 >/dev/null 2>&1 || echo libatomic1
}

find_python() {
    set -- python3 python3.13 python3.12 python3.11
    [ -z "${PYTHON:-}" ] || set -- "$PYTHON"
    for python; do
        is_new_enough "$python" && return 0
    done
    return 1
}

is_new_enough() {
    "$1" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

need() {
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing" "$@"
        apt_install "$@" >/dev/null 2>&1 </dev/null && return 0
        quietly apt-get -qq update && quietly apt_install "$@"
    else
        say "missing:" "$@"
        say "on Debian: sudo apt-get install --no-install-recommends" "$@"
        return 1
    fi
}

apt_install() {
    DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends -o DPkg::Lock::Timeout=600 install "$@"
}

# --- the virtual environment --------------------------------------------------------------------------------------------------

is_ready() {
    [ -x "$venv/bin/python" ] || return 1
    [ "$kind" != lock ] || [ ! -x "$venv/bin/uv" ] || return 0
    [ -r "$stamp" ] && read -r installed <"$stamp" || return 1
    case "$kind: $installed" in
    "run: run $sum" | "run: dev $sum" | "dev: dev $sum" | "browser: dev $sum") return 0 ;;
    *) return 1 ;;
    esac
}

# One set-up at a time. The lock belongs to descriptor 9 and so ends with whoever holds it, however that ends.
lock() {
    if command -v flock >/dev/null; then
        flock 9
    elif find_python; then
        "$python" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)'
    fi
}

install() {
    say "setting up $venv, once"
    what=$kind
    [ "$kind" != browser ] || what=dev
    # A demo takes nothing away from the tests.
    [ "$kind" != run ] || [ ! -r "$stamp" ] || read -r what _ <"$stamp" || what=run
    rm -f "$stamp"
    make_venv || return 1
    home
    export PIP_USER=0 PIP_DISABLE_PIP_VERSION_CHECK=1 # --user, a habit in some pip.conf, cannot be in a virtual environment
    tell_uv_what_pip_knows
    case $what in
    lock) quietly pip_install uv ;;
    dev) install_here '.[dev]' ;;
    run) install_here . ;;
    esac || return 1
    [ "$what" = lock ] || printf '%s %s\n' "$what" "$sum" >"$stamp"
}

# A pip that runs and lives where we look for it is a whole environment; half of one, or one that was moved, is made anew.
make_venv() {
    case $("$venv/bin/pip" --version 2>/dev/null) in
    *" $venv/"*) ! is_new_enough "$venv/bin/python" || return 0 ;;
    esac
    [ ! -e "$venv" ] || [ -e "$venv/pyvenv.cfg" ] || [ -z "$(ls -A "$venv")" ] ||
        die "$venv holds something else than a virtual environment: remove it, or name another place in RELAY_VENV"
    quietly "$python" -m venv --clear "$venv"
}

# uv needs 5 seconds where pip needs 30. Whatever keeps it from working here, pip still can.
install_here() {
    cd "$root" || return 1
    uv_install -c constraints.txt -e "$1" >/dev/null 2>&1 </dev/null || quietly pip_install -c constraints.txt -e "$1"
}

uv_install() {
    pip_install -c constraints.txt --only-binary :all: uv && "$venv/bin/uv" -q pip install --python "$venv/bin/python" "$@"
}

pip_install() {
    "$venv/bin/python" -m pip install -q "$@"
}

# uv reads none of pip's files and variables; whoever set them for another index wants it asked, and no other.
tell_uv_what_pip_knows() {
    pip_says=$("$venv/bin/python" -m pip config list 2>/dev/null | sed 's/\\n/ /g')
    tell UV_DEFAULT_INDEX "$(pip_option index-url)"
    tell UV_INDEX "$(pip_option extra-index-url)"
    tell UV_FIND_LINKS "$(pip_option find-links | tr -s ' ' ,)"
    tell UV_NO_INDEX "$(pip_option no-index)"
    tell SSL_CERT_FILE "$(pip_option cert)"
    tell UV_INDEX_STRATEGY unsafe-best-match # pip's way: every index, then the best version
}

tell() {
    eval "[ -n \"\${$1:-}\" ]" || [ -z "$2" ] || export "$1=$2"
}

pip_option() {
    for section in :env: install global; do
        value=$(printf '%s\n' "$pip_says" | sed -n "s/^$section\.$1='\(.*\)'\$/\1/p")
        [ -z "$value" ] || break
    done
    printf %s "$value"
}

# pip, uv and Chromium want somewhere to write; a HOME that is empty, gone or read-only is not.
home() {
    [ -n "${HOME:-}" ] && [ -d "$HOME" ] && [ -w "$HOME" ] && return 0
    export HOME="$venv/home"
    mkdir -p "$HOME"
}
