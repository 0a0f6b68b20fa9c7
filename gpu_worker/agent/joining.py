"""What lets this machine join: an invite, which is kept for the next start, or a bare address."""

from __future__ import annotations

import contextlib
import os
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from gpu_worker.protocol.nats.access import Access
from gpu_worker.protocol.nats.invite import InviteError, is_invite, read_invite
from gpu_worker.protocol.nats.subjects import Subjects, is_embedded_name, is_machine_name

__all__ = ["INVITE_SETTING", "KEPT", "Joining", "JoiningError", "by_address", "by_invite"]

INVITE_SETTING = "PINCEL_INVITE"
KEPT = "worker-invite"
"""In the data folder, for its owner's eyes: it holds the machine's key."""
_FILE_BYTES_MAX = 64 * 1024


class JoiningError(ValueError):
    """A sentence for whoever started this, with what to do."""


@dataclass(frozen=True, slots=True)
class Joining:
    machine: str
    access: Access
    subjects: Subjects
    invite: str = field(default="", repr=False)
    """One that is not kept yet."""

    def keep(self, data: Path) -> None:
        """For the next start; only once nobody else works in this folder. Raises JoiningError."""
        if self.invite:
            _keep(data / KEPT, self.invite)


def by_address(url: str, name: str, environment: MutableMapping[str, str]) -> Joining:
    """As `by_invite`."""
    environment.pop(INVITE_SETTING, None)
    if not is_machine_name(name) or is_embedded_name(name):
        raise JoiningError("a remote worker needs a --name of its own: letters, digits, - and _, and not like w1 or t1")
    if not _is_address(url):
        raise JoiningError("--nats takes the address of a broker, such as nats://192.0.2.7:4222")
    return Joining(name, Access.plain(url), Subjects())


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url if "//" in url else f"nats://{url}")
        return parts.scheme in ("nats", "tls", "ws", "wss") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # its port is none
        return False


def by_invite(given: str, data: Path, environment: MutableMapping[str, str]) -> Joining:
    """`given`: the invite, or a file that holds it; where it is empty the setting, else the one that is kept.
    Afterwards the environment, which children inherit, holds none. Raises JoiningError."""
    set_ = environment.pop(INVITE_SETTING, "").strip()
    said = given.strip() or set_
    text = _text(said, "--invite" if given.strip() else INVITE_SETTING) if said else _kept(data / KEPT)
    if not text:
        raise JoiningError(
            "this machine has no invite yet: ask an operator of the bot to make one with /workers add, "
            "then start again with --invite and that text"
        )
    try:
        invite = read_invite(text)
    except InviteError as error:
        raise JoiningError(str(error)) from error
    if is_embedded_name(invite.machine):
        raise JoiningError(
            f"{invite.machine!r} is a name of the bot's own workers; ask for an invite under another one"
        )
    return Joining(invite.machine, invite.access, Subjects(invite.prefix), invite.text if said else "")


def _text(said: str, where: str) -> str:
    if is_invite(said):
        return said
    try:
        with Path(said).expanduser().open("rb") as file:
            return file.read(_FILE_BYTES_MAX).decode("utf-8-sig", "replace")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no path"
        raise JoiningError(
            f"{where} is neither an invite nor a file that can be read ({reason}); "
            "give all of the text that begins with pincel1-, or the file that holds it"
        ) from error


def _kept(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise JoiningError(f"the invite of the last start cannot be read ({error}); give it once more") from error


def _keep(path: Path, text: str) -> None:
    """Raises JoiningError."""
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text + "\n")
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise JoiningError(f"the data folder {path.parent} cannot be written ({error.strerror})") from error
