"""From a fetched file, whose hash was right, to a model in the library: looked into, a pickle written as safetensors,
and put into its folder. Everything in it comes from outside, so what is not as the catalogue says stays out."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from bot.catalogue import Entry
from bot.errors import UserFacingError
from bot.library.library import FOLDERS
from bot.library.moves import move_in
from bot.library.paths import split_name
from bot.models_cli.console import Console
from bot.settings import CHECKOUT, Settings
from gpu_worker.language.headers import HeaderError, read_header
from gpu_worker.language.kinds import read_file

__all__ = ["REFUSALS", "put_in_place"]

REFUSALS = frozenset({"models_cli_no_model", "models_cli_wrong_kind", "models_cli_pickle_refused"})
"""What repeating cannot mend."""
_CONVERT_LIMIT_S = 1800


async def put_in_place(console: Console, settings: Settings, entry: Entry, file: Path) -> Path:
    """Where it is in the end; `file` is gone then. Raises UserFacingError, OSError; then nothing new is visible."""
    say = console.say
    console.replace_line(say("models_cli.install.checking", title=entry.title))
    await asyncio.to_thread(_look_into, entry, file)
    if await asyncio.to_thread(_is_pickle, file):
        if not entry.allow_pickle:
            raise UserFacingError("models_cli_pickle_refused")
        console.replace_line(say("models_cli.install.converting", title=entry.title))
        written = file.with_name("converted.safetensors")
        await asyncio.to_thread(_convert, file, written)
        await asyncio.to_thread(_look_into, entry, written)
        await asyncio.to_thread(file.unlink, missing_ok=True)
        file = written
    # What it holds is known by now, so no address decides what it is called.
    suffix = ".onnx" if file.suffix.lower() == ".onnx" else ".safetensors"
    stem, _ = split_name(f"{entry.name}{suffix}" if entry.name else file.name, file.name)
    folder = settings.models_dir / FOLDERS[entry.kind]
    return await asyncio.to_thread(move_in, file, folder, stem, suffix)


def _look_into(entry: Entry, file: Path) -> None:
    reading = read_file(entry.kind, file)
    if reading.problem is not None:
        raise UserFacingError("models_cli_no_model", problem=reading.problem)
    if reading.kind not in (None, entry.kind):
        raise UserFacingError("models_cli_wrong_kind", found=reading.kind)


def _is_pickle(file: Path) -> bool:
    try:
        read_header(file)
    except HeaderError:
        # Whatever else passed the look inside: archives of torch, its older layout, ONNX.
        return file.suffix.lower() != ".onnx"
    return False


def _convert(pickle: Path, target: Path) -> None:
    """In a process of its own, for a hostile file may cost memory and time; nothing in it is executed there either."""
    target.unlink(missing_ok=True)
    try:
        ended = subprocess.run(  # noqa: S603 - our own module, and paths that we made
            [sys.executable, "-m", "gpu_worker.language.rewrite", str(pickle), str(target)],
            cwd=CHECKOUT, env={**os.environ, "PYTHONPATH": str(CHECKOUT)}, timeout=_CONVERT_LIMIT_S, check=False,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise UserFacingError("models_cli_no_model", problem="corrupt") from error
    if ended.returncode == 0 and target.is_file():
        return
    target.unlink(missing_ok=True)
    problem = (ended.stdout.split() or ["corrupt"])[-1]
    raise UserFacingError("models_cli_disk" if problem == "disk" else "models_cli_no_model", problem=problem)
