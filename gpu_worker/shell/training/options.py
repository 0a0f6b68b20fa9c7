"""The words of `launch.py train`: our own options, a configuration file, and sd-scripts' parameters over it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gpu_worker.language.training.command_line import read_words
from gpu_worker.language.training.config import BYTES_MAX, Config, read_config
from gpu_worker.shell.errors import BadInputError

__all__ = ["ROOT", "Options", "read_file", "read_options"]

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Options:
    config: Config
    data: Path
    device: str | None
    dry_run: bool
    anew: bool
    publish: str | None
    """The name in the library; empty for `output_name`; None: not published."""


def read_options(words: Sequence[str]) -> Options:
    """Raises BadInputError and ConfigError."""
    words = list(words)
    first = words.pop(0) if words and not words[0].startswith("--") else None
    said = read_words(words)
    file = said.pop("config_file", first)
    if first is not None and file != first:
        raise BadInputError(f"{first} and --config_file name two files of parameters. Leave one out.")
    flags = {key: said.pop(key, False) for key in ("dry_run", "anew")}
    for key, value in flags.items():
        if not isinstance(value, bool):
            raise BadInputError(f"--{key} takes no value; leave {str(value)[:60]} out.")
    texts = {key: said.pop(key, None) for key in ("data", "device")}
    for key, value in texts.items():
        if value is True or isinstance(value, list):
            raise BadInputError(f"--{key} lacks its value.")
    publish = said.pop("publish", None)
    text = ""
    if file is not None:
        text = read_file("The configuration", Path(str(file)).expanduser())
    device = None if texts["device"] is None else str(texts["device"])
    device = device or os.environ.get("PINCEL_DEVICE") or "auto"
    return Options(
        config=read_config(text, said),
        data=Path(str(texts["data"] or os.environ.get("PINCEL_DATA") or ROOT / "data")).expanduser(),
        device=None if device == "auto" else device,
        dry_run=bool(flags["dry_run"]),
        anew=bool(flags["anew"]),
        publish=None if publish in (None, False) else "" if publish is True else str(publish),
    )


def read_file(key: str, path: Path) -> str:
    """A file of settings. Raises BadInputError."""
    try:
        if path.stat().st_size > BYTES_MAX:
            raise BadInputError(f"{key}: {path} is larger than {BYTES_MAX >> 20} MB. Give one with settings alone.")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadInputError(f"{key}: {path} cannot be read ({error.strerror}). Name a file that is there.") from error
    except UnicodeDecodeError as error:
        raise BadInputError(f"{key}: {path} is no UTF-8 text. Save it anew as UTF-8.") from error
