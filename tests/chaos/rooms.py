"""Disks that can be full, and networks whose cable can be pulled, where the kernel lets us make them."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

__all__ = ["Disk", "can_mount", "can_network", "connect", "disconnect", "inside", "pull", "wrapped"]

INSIDE = "PINCEL_CHAOS_INSIDE"
"""Set in the process that has namespaces of its own."""
WRAP = ("unshare", "--user", "--map-root-user", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")


def wrapped(arguments: list[str]) -> list[str] | None:
    """The command line that runs `arguments` where mounts and networks may be made, all of which go with it; None
    where this system has no such thing."""
    if not sys.platform.startswith("linux") or shutil.which("unshare") is None:
        return None
    tried = subprocess.run([*WRAP, "true"], capture_output=True, check=False)
    return [*WRAP, *arguments] if tried.returncode == 0 else None


def inside() -> bool:
    return INSIDE in os.environ


def can_mount() -> bool:
    return inside() and shutil.which("mount") is not None


def can_network() -> bool:
    return inside() and shutil.which("ip") is not None


class Disk:
    """A folder on a disk of its own."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        if can_mount():
            _run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "chaos", str(folder))

    def close(self, *, keep: bool) -> None:
        """Its memory is given back. `keep`: what is on it stays beside it, as plain files."""
        if can_mount():
            if keep:
                beside = self.folder.with_name(self.folder.name + ".kept")
                shutil.copytree(self.folder, beside, ignore_dangling_symlinks=True)
            _run("umount", "--lazy", str(self.folder))

    def fill(self) -> None:
        """To the last byte."""
        file = os.open(self._ballast, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            for size in (1 << 16, 1 << 10, 1):
                with contextlib.suppress(OSError):
                    while True:
                        os.write(file, bytes(size))
        finally:
            os.close(file)

    def empty(self) -> None:
        """There is room again."""
        self._ballast.unlink(missing_ok=True)

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"


def connect(pid: int, number: int) -> tuple[str, str]:
    """A cable between us and the network that the process `pid` holds: our address on it, and our end's name."""
    here, ours, theirs = (
        f"pc{number}",
        f"10.{100 + number // 250}.{number % 250}.1",
        f"10.{100 + number // 250}.{number % 250}.2",
    )
    while Path(f"/proc/{pid}/ns/net").readlink() == Path("/proc/self/ns/net").readlink():
        time.sleep(0.01)  # it has not begun yet
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "link", "add", here, "type", "veth", "peer", "name", "out", "netns", str(pid))
    _run("ip", "addr", "add", f"{ours}/24", "dev", here)
    _run("ip", "link", "set", here, "up")
    for words in (
        ("link", "set", "lo", "up"),
        ("addr", "add", f"{theirs}/24", "dev", "out"),
        ("link", "set", "out", "up"),
    ):
        _run("nsenter", "--target", str(pid), "--net", "ip", *words)
    return ours, here


def disconnect(name: str) -> None:
    _run("ip", "link", "del", name)


def pull(name: str, *, plugged: bool) -> None:
    _run("ip", "link", "set", name, "up" if plugged else "down")


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)
