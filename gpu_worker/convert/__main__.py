"""`python -m gpu_worker.convert IN OUT`: model files from the shell. `launch.py models convert` comes here.

    convert IN OUT                                       one file: .safetensors, .ckpt, .pt, .pth or .bin
    convert A OUT --merge B [--add-difference C] -m 0.3  checkpoints, as A1111 merges them
    convert A OUT --lora FILE[:WEIGHT]                   LoRAs baked in

Exit codes: 0 written, 1 could not be written, 2 bad usage.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, get_args

from pydantic import ValidationError

from gpu_worker.convert.sentences import failure, say
from gpu_worker.protocol.messages import ModelKind
from gpu_worker.protocol.specs import BakedLora, BakeSpec, ConvertSpec, FileSpec, MergeSpec, Parts

__all__ = ["main"]

WRITTEN, FAILED, BAD_USAGE = 0, 1, 2
_KINDS = get_args(ModelKind)


class _Terminal:
    def check(self) -> None:
        pass

    def report(self, done: int, of: int) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{say('progress', done=done, of=of)} ")
            sys.stderr.flush()


class _BadUsageError(Exception):
    """`key` and `values` are of a sentence; without a key the words make no command."""

    def __init__(self, key: str = "", **values: object) -> None:
        super().__init__(key)
        self.key, self.values = key, values


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _BadUsageError


def _parser() -> argparse.ArgumentParser:
    # Sentences of argparse exist in English only: the help is a text of ours.
    parser = _Parser(add_help=False)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--kind", choices=_KINDS, default="checkpoint")
    parser.add_argument("--precision", choices=("keep", "fp32", "fp16", "bf16"), default="fp16")
    parser.add_argument("--weights", choices=("all", "no-ema", "ema-only"), default="no-ema")
    parser.add_argument("--vae", type=Path)
    parser.add_argument("--no-vae", action="store_true")
    parser.add_argument("--no-fix-clip", action="store_true")
    parser.add_argument("--discard", action="append", default=[])
    parser.add_argument("--merge", type=Path)
    parser.add_argument("--add-difference", type=Path)
    parser.add_argument("-m", "--multiplier", type=float, default=0.3)
    parser.add_argument("--lora", action="append", default=[])
    parser.add_argument("--force", action="store_true")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    words = sys.argv[1:] if arguments is None else list(arguments)
    help_text = say("help", kinds=", ".join(_KINDS))
    if {"-h", "--help"} & set(words):
        print(help_text)  # noqa: T201
        return WRITTEN
    files: dict[tuple[ModelKind, str], Path] = {}
    try:
        wish = _parser().parse_args(words)
        spec = _read(wish, files)
    except _BadUsageError as error:
        sentence = say(error.key, **error.values) if error.key else f"{say('usage')}\n\n{help_text}"
        print(sentence, file=sys.stderr)  # noqa: T201
        return BAD_USAGE
    return _make(spec, wish.target, files)


def _read(wish: argparse.Namespace, files: dict[tuple[ModelKind, str], Path]) -> FileSpec:
    """What is asked for, and into `files` what it is made from. Raises _BadUsageError."""
    target: Path = wish.target
    if target.suffix != ".safetensors":
        raise _BadUsageError("suffix")
    if target.exists() and not wish.force:
        raise _BadUsageError("there", file=target)
    if wish.lora and wish.merge:
        raise _BadUsageError("two_steps")
    if wish.add_difference and not wish.merge:
        raise _BadUsageError("alone")
    if wish.vae and wish.no_vae:
        raise _BadUsageError("vae_twice")
    try:
        spec = _spec(wish, files)
    except ValidationError as error:
        raise _BadUsageError("value", option=".".join(map(str, error.errors()[0]["loc"]))) from error
    missing = next((path for path in files.values() if not path.exists()), None)
    if missing is not None:
        raise _BadUsageError("missing", file=missing)
    if any(path.resolve() == target.resolve() for path in files.values()):
        raise _BadUsageError("itself")
    return spec


def _make(spec: FileSpec, target: Path, files: dict[tuple[ModelKind, str], Path]) -> int:
    import gpu_worker.engine  # noqa: F401 (its environment must stand before torch is imported)
    from gpu_worker.convert.making import make_file
    from gpu_worker.engine.errors import EngineError

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        made = make_file(spec, target, lambda kind, name: files[kind, name], _sha256, _Terminal())
    except (EngineError, OSError, MemoryError) as error:
        print(failure(error, target), file=sys.stderr)  # noqa: T201
        return FAILED
    print(f"{made.path}\nsha256 {made.sha256}")  # noqa: T201
    return WRITTEN


def _spec(wish: argparse.Namespace, files: dict[tuple[ModelKind, str], Path]) -> FileSpec:
    """Raises ValidationError, _BadUsageError."""

    def name(kind: ModelKind, path: Path | None) -> str | None:
        if path is None:
            return None
        files[kind, str(path)] = path
        return str(path)

    shared = {
        "output": wish.target.stem,
        "precision": wish.precision,
        "vae": name("vae", wish.vae),
        "fix_clip": not wish.no_fix_clip,
        "discard": (*wish.discard, *(["first_stage_model.*"] if wish.no_vae else [])),
    }
    source = str(wish.source)
    files[wish.kind, source] = wish.source
    if wish.merge is not None:
        method = "add difference" if wish.add_difference is not None else "weighted sum"
        second, third = name("checkpoint", wish.merge), name("checkpoint", wish.add_difference)
        return MergeSpec(**shared, method=method, first=source, second=second, third=third, multiplier=wish.multiplier)
    if wish.lora:
        loras: list[BakedLora] = []
        for text in wish.lora:
            path, weight = _weighted(text)
            loras.append(BakedLora(name=name("lora", path) or "", unet=weight, text_encoder=weight))
        return BakeSpec(**shared, checkpoint=source, loras=tuple(loras))
    return ConvertSpec(**shared, model=source, model_kind=wish.kind, weights=wish.weights, parts=Parts())


def _weighted(text: str) -> tuple[Path, float]:
    """A file and its weight behind the last colon, which a path may have without one. Raises _BadUsageError."""
    path, colon, weight = text.rpartition(":")
    if colon and not Path(text).exists():
        try:
            return Path(path), float(weight)
        except ValueError:
            raise _BadUsageError("weight", weight=weight) from None
    return Path(text), 1.0


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    sys.exit(main())
