"""The notebook as one object: what its cells call, in their order."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from bot.i18n import texts_for
from notebooks.colab.copies import Copies
from notebooks.colab.launcher import Launcher
from notebooks.colab.links import KINDS, add_to_catalogue, read_links
from notebooks.colab.places import Kept, link_folders, settings_from
from notebooks.colab.serving import BOT, Serving, worker
from notebooks.colab.telling import Telling

__all__ = ["Notebook", "open_notebook"]

CHECKOUT = Path(__file__).resolve().parents[2]
_WORKERS = ("PINCEL_INVITE",)
_BOTS = ("DISCORD_TOKEN", "PINCEL_OPERATORS", "PINCEL_NATS_URL", "PINCEL_NATS_KEY", "PINCEL_INVITE")
"""Secrets that a process which is none of theirs is not told."""
LOCALES = {"es": "es_ES.UTF-8", "en": "en_US.UTF-8"}


class Notebook:
    def __init__(
        self,
        telling: Telling,
        launcher: Launcher,
        data: Path,
        drive: Path | None,
        copies: Copies | None,
        invite: str | None = None,
    ) -> None:
        """`invite`: a worker of that bot runs here, and no bot."""
        self._telling, self._launcher, self._data, self._drive, self._copies = telling, launcher, data, drive, copies
        self._joins = invite is not None
        self._serving = Serving(launcher, telling, self.save, BOT if invite is None else worker(invite))

    def models(self, links: str = "", *, names: str = "", all_controlnet: bool = False) -> None:
        """Further models: by their links, by names of the catalogue, and all ControlNets. What cannot be had is told,
        and everything else goes on. A worker is sent what its jobs need, so nothing is fetched for one."""
        if self._joins:
            self._telling.say("join.models")
            return
        wanted, bad = read_links(links)
        for error in bad:
            self._telling.say(f"links.{error.reason}", link=error.shown, kinds=", ".join(KINDS))
        if wanted:
            try:
                add_to_catalogue(self._data / "catalogue.toml", wanted)
            except (OSError, ValueError):
                self._telling.say("links.catalogue", file=self._data / "catalogue.toml")
                wanted = []
        asked = [one.key for one in wanted if one.sha256 is None]
        sets = [*names.replace(",", " ").split(), *(["controlnet", "annotators"] if all_controlnet else [])]
        if all_controlnet:
            asked += ["controlnet", "annotators"]
        chosen = [one.key for one in wanted] + sets
        if asked:
            self._launcher.run("models", "verify", *asked)
        if chosen and self._launcher.run("models", "install", *chosen, "--yes") != 0:
            self._telling.say("links.some_missing")
        if not chosen and not bad:
            self._telling.say("links.nothing")

    def save(self) -> bool:
        """A copy of the database on Drive; False where settings are not kept there, or it did not go well."""
        return self._copies is not None and self._copies.save()

    def keep(self, minutes: float = 0.0) -> None:
        """Runs the bot, or the worker, as `Serving.keep` does. Raises StoppedError."""
        self._serving.keep(minutes)

    def train(self, pictures: str, name: str, *, base: str, epochs: int, resolution: int, more: str = "") -> bool:
        """A LoRA from a folder of pictures, published into the library; whether it is done. The same call goes on after
        a disconnect, because its state lies on Drive. A relative folder counts from Pincel's on Drive."""
        if not pictures.strip() or not name.strip():
            self._telling.say("train.nothing")
            return False
        if self._serving.running:
            self._telling.say("train.bot_runs")
            return False
        root = self._drive or self._data
        folder = root / Path(pictures.strip()).expanduser()
        if not folder.is_dir():
            self._telling.say("train.no_folder", folder=folder)
            return False
        try:
            given = shlex.split(more)
        except ValueError:
            self._telling.say("train.options")
            return False
        code = self._launcher.run(
            "train", "--pretrained_model_name_or_path", base, "--train_data_dir", str(folder),
            "--caption_extension", ".txt", "--output_dir", str(root / "trained"), "--output_name", name.strip(),
            "--max_train_epochs", str(epochs), "--resolution", str(resolution), *given, "--publish",
        )  # fmt: skip
        self._telling.say("train.done" if code == 0 else "train.again", name=name.strip())
        return code == 0


def open_notebook(
    *,
    language: str,
    drive: Path | None,
    kept: Kept,
    secrets: Mapping[str, str],
    join: str | None = None,
    data: Path | None = None,
    checkout: Path = CHECKOUT,
    write: Callable[[str], None] = print,
) -> Notebook:
    """Drive's folders linked, its settings taken over, the database put back if this machine has none.

    `join`: this machine becomes a worker of the bot that wrote this invite; empty, the secret PINCEL_INVITE. Of
    Drive it then has the models and settings alone. `data` is a local folder, by default `data` of the clone. Raises
    StoppedError, OSError.
    """
    data = data or Path(os.environ.get("PINCEL_DATA") or checkout / "data")
    invite = None if join is None else join.strip() or secrets.get("PINCEL_INVITE", "")
    hidden = tuple(value for name, value in secrets.items() if name != "PINCEL_OPERATORS")
    telling = Telling(texts_for(language), write, (*hidden, *([invite] if invite else [])))
    if invite == "":
        raise telling.stop("join.no_invite")
    if drive is None:
        telling.say("drive.none")
    try:
        link_folders(data, drive, kept if invite is None else replace(kept, pictures=False, settings=False), telling)
        if drive is not None and kept.settings:
            settings_from(drive, checkout, telling)
    except OSError as error:
        raise telling.stop("drive.unwritable", reason=error.strerror or type(error).__name__) from error
    given = {name: value for name, value in secrets.items() if name not in (_BOTS if invite else _WORKERS)}
    settings = {
        **given, "PINCEL_DATA": str(data), "PINCEL_BACKUP_FOLDER": str(data / "backups"),
        "LC_ALL": LOCALES.get(language, LOCALES["en"]),
    }  # fmt: skip
    launcher = Launcher(checkout, settings, telling)
    copies = Copies(data, drive, launcher, telling) if drive is not None and kept.settings and not invite else None
    if copies is not None:
        copies.restore()
    if "DISCORD_TOKEN" not in secrets and not invite:
        telling.say("start.no_token")
    return Notebook(telling, launcher, data, drive, copies, invite)
