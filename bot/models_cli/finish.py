"""From a fetched file, whose hash was right, to a model in the library: looked into, a pickle written as safetensors,
and put into its folder. Everything in it comes from outside, so what is not as the catalogue says stays out."""

from __future__ import annotations

import asyncio
import importlib.util
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
        await asyncio.to_thread(_convert, entry, file, written)
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


def _convert(entry: Entry, pickle: Path, target: Path) -> None:
    """In a process of its own: torch stays out of this one, and a file that brings that one down ends nothing else."""
    if importlib.util.find_spec("torch") is None:
        raise UserFacingError("models_cli_no_torch")
    target.unlink(missing_ok=True)
    command = [
        sys.executable, "-m", "gpu_worker.convert", str(pickle), str(target),
        "--kind", entry.kind, "--precision", "keep", "--weights", "all",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    try:
        ended = subprocess.run(  # noqa: S603 - our own module, and paths that we made
            command, cwd=CHECKOUT, env=environment, timeout=_CONVERT_LIMIT_S, capture_output=True, text=True,
            errors="replace", stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise UserFacingError("models_cli_convert_failed", reason=f"{_CONVERT_LIMIT_S} s") from error
    if ended.returncode or not target.is_file():
        target.unlink(missing_ok=True)
        words = (ended.stderr or ended.stdout).strip().splitlines()
        raise UserFacingError("models_cli_convert_failed", reason=words[-1] if words else str(ended.returncode))
