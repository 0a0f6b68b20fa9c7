"""What the bot needs of the machine: Python, a folder it may write, disk space, a free port."""

from __future__ import annotations

import errno
import shutil
import socket
import sys
import tempfile

from bot.doctor.report import Check, State, finding
from bot.i18n import Texts
from bot.settings import Settings

__all__ = ["check_disk", "check_folder", "check_port", "check_python"]

_MIB = 2**20
DISK_FAIL_MIB = 500
"""Below it SQLite and a batch of pictures are at risk."""
DISK_WARN_MIB = 5000
"""A checkpoint is 2 to 7 GB."""


def check_python(say: Texts) -> Check:
    bits = 64 if sys.maxsize > 2**32 else 32
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < (3, 11) or bits == 32:
        return finding(say, "python", State.FAIL, "unfit", version=version, bits=bits)
    return finding(say, "python", State.OK, "good", version=version, path=sys.executable)


def check_folder(say: Texts, settings: Settings) -> Check:
    """Makes the data folder if it is missing, as the bot would, and writes one file there."""
    try:
        settings.data.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=settings.data, prefix=".doctor-") as probe:
            probe.write(b"x" * 4096)
            probe.flush()
    except OSError as error:
        return finding(say, "folder", State.FAIL, "unwritable", folder=settings.data, reason=error.strerror)
    return finding(say, "folder", State.OK, "good", folder=settings.data)


def check_disk(say: Texts, settings: Settings, free_mib: int | None = None) -> Check:
    if free_mib is None:
        folder = next(path for path in (settings.data, *settings.data.parents) if path.exists())
        free_mib = shutil.disk_usage(folder).free // _MIB
    free = f"{free_mib / 1024:.1f} GiB"
    if free_mib < DISK_FAIL_MIB:
        return finding(say, "disk", State.FAIL, "full", free=free, folder=settings.data)
    if free_mib < DISK_WARN_MIB:
        return finding(say, "disk", State.WARN, "tight", free=free, folder=settings.data)
    return finding(say, "disk", State.OK, "good", free=free)


def check_port(say: Texts, settings: Settings, *, bot_runs: bool) -> Check:
    """The playground's port; only needed where there is no token. A running bot holds it rightly."""
    port = settings.playground_port
    if settings.token.get_secret_value():
        return finding(say, "port", State.OK, "unused")
    if bot_runs:
        return finding(say, "port", State.OK, "running", port=port)
    address = settings.listen or "127.0.0.1"
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            if sys.platform != "win32":
                # As servers do: a port that is only cooling down after a restart counts as free.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except socket.gaierror:
        return finding(say, "port", State.FAIL, "no_address", address=address)
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            return finding(say, "port", State.FAIL, "no_address", address=address)
        if error.errno == errno.EACCES:
            return finding(say, "port", State.FAIL, "forbidden", port=port, other=max(port, 1024) + 1)
        return finding(say, "port", State.FAIL, "taken", port=port, other=port + 1 if port < 65535 else 8930)
    return finding(say, "port", State.OK, "good", port=port)
