"""What lies on Drive: folders by links from the data folder, so that a file is on Drive the moment it is there.

The database never is: Drive keeps no locks, and a database that was cut off there is a broken one (copies.py)."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from notebooks.colab.telling import Telling

__all__ = ["SETTINGS_NAME", "Kept", "link_folders", "settings_from"]

SETTINGS_NAME = "settings.env"
_MODELS = ("models", "trash", "trainings")  # what is removed goes to the trash by a rename, so both lie on one disk
_PICTURES = ("outputs", "inputs")
_SETTINGS = ("wildcards", "tags")
_SECRET = re.compile(
    r"^\s*(?:export\s+)?(\w*(?:TOKEN|PASSWORD|NATS_URL|NATS_KEY|INVITE))\s*=[ \t]*(.*)$", re.IGNORECASE
)


@dataclass(frozen=True)
class Kept:
    """What is kept on Drive."""

    models: bool = True
    pictures: bool = True
    settings: bool = True

    def folders(self) -> tuple[str, ...]:
        chosen = ((self.models, _MODELS), (self.pictures, _PICTURES), (self.settings, _SETTINGS))
        return tuple(name for wanted, names in chosen if wanted for name in names)


def link_folders(data: Path, drive: Path | None, kept: Kept, telling: Telling) -> None:
    """Afterwards each folder is on Drive, or here, as `kept` says. Files that were here before move to Drive; where it
    has others of the same name, they stay beside it, and that is told. Raises OSError."""
    data.mkdir(parents=True, exist_ok=True)
    on_drive = kept.folders() if drive is not None else ()
    for name in (*_MODELS, *_PICTURES, *_SETTINGS):
        here = data / name
        if here.is_symlink() and (drive is None or name not in on_drive or here.readlink() != drive / name):
            here.unlink()
        if drive is None or name not in on_drive or here.is_symlink():
            continue
        there = drive / name
        there.mkdir(exist_ok=True)
        if here.exists():
            _move_files(here, there)
            if any(path.is_file() for path in here.rglob("*")):
                aside = _free(data / f"{name}-here")
                here.rename(aside)
                telling.say("drive.same_names", folder=aside)
            else:
                shutil.rmtree(here)
        here.symlink_to(there, target_is_directory=True)


def settings_from(drive: Path, checkout: Path, telling: Telling) -> None:
    """Drive's settings become the clone's `.env`, without tokens, which are Colab's secrets to keep; where Drive has
    none yet, it gets the list of all with their defaults. Raises OSError."""
    file = drive / SETTINGS_NAME
    if not file.exists():
        file.write_text(_without_secrets((checkout / ".env.example").read_text(encoding="utf-8"))[0], encoding="utf-8")
        telling.say("drive.settings_made", file=file)
    text, ignored = _without_secrets(file.read_text(encoding="utf-8-sig"))
    if ignored:
        telling.say("drive.secrets_ignored", names=", ".join(ignored), file=file)
    target = checkout / ".env"
    beside = target.with_name(".env.part")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as opened:
        opened.write(text)
    beside.replace(target)


def _without_secrets(text: str) -> tuple[str, list[str]]:
    """The lines without a secret, and the names of those that held one."""
    lines: list[str] = []
    ignored: list[str] = []
    for line in text.splitlines():
        found = _SECRET.match(line)
        if found is None:
            lines.append(line)
        elif found[2].strip():
            ignored.append(found[1])
    return "\n".join(lines) + "\n", ignored


def _move_files(here: Path, there: Path) -> None:
    for path in sorted(here.rglob("*")):
        target = there / path.relative_to(here)
        if path.is_file() and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(path, target)


def _free(path: Path) -> Path:
    number = 1
    while (found := path.with_name(f"{path.name}-{number}")).exists():
        number += 1
    return found
