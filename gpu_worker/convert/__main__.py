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
from typing import get_args

from pydantic import ValidationError

from gpu_worker.protocol.messages import ModelKind
from gpu_worker.protocol.specs import BakedLora, BakeSpec, ConvertSpec, FileSpec, MergeSpec, Parts

__all__ = ["main"]

WRITTEN, FAILED, BAD_USAGE = 0, 1, 2
PIECE_BYTES = 4 << 20
_KINDS = get_args(ModelKind)
_REASONS = {
    "no_ema": "This checkpoint has no EMA weights; leave --weights ema-only out.",
    "overflow": "Some of its numbers are too large for fp16; use --precision bf16 or fp32.",
    "nothing_left": "Nothing is left to be written; leave out less.",
    "merge_misfit": "These checkpoints are built differently; merge ones of the same base model.",
    "merge_order": "The inpainting or pix2pix checkpoint has to come first.",
    "lora_misfit": "The LoRA {lora} does not fit this checkpoint.",
}
_PROBLEMS = {
    "corrupt": "is damaged, or no model file; download it again",
    "unsafe": "holds more than numbers and could run code, so it is not opened",
    "unsupported": "is of a kind that cannot be converted (a folder, or unknown numbers)",
    "unknown_layout": "is no model file of this kind",
}


class _Terminal:
    def check(self) -> None:
        pass

    def report(self, done: int, of: int) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{done} of {of} MiB ")
            sys.stderr.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python3 launch.py models convert", description="Makes a .safetensors file from model files."
    )
    parser.add_argument("source", type=Path, metavar="IN", help="the file to be converted, or A of a merge")
    parser.add_argument("target", type=Path, metavar="OUT", help="the .safetensors file to be written")
    parser.add_argument("--kind", choices=_KINDS, default="checkpoint", help="what IN is (default: checkpoint)")
    parser.add_argument("--precision", choices=("keep", "fp32", "fp16", "bf16"), default="fp16", help="default: fp16")
    parser.add_argument("--weights", choices=("all", "no-ema", "ema-only"), default="no-ema", help="default: no-ema")
    parser.add_argument("--vae", type=Path, help="a VAE that is baked in")
    parser.add_argument("--no-vae", action="store_true", help="take the VAE out")
    parser.add_argument("--no-fix-clip", action="store_true", help="leave the text model's position ids as they are")
    parser.add_argument("--discard", action="append", default=[], metavar="KEYS", help="leave keys out; takes * and ?")
    parser.add_argument("--merge", type=Path, metavar="B", help="merge with this checkpoint")
    parser.add_argument("--add-difference", type=Path, metavar="C", help="A + (B - C) m instead of A (1 - m) + B m")
    parser.add_argument("-m", "--multiplier", type=float, default=0.3, help="m, from 0 to 1 (default: 0.3)")
    parser.add_argument("--lora", action="append", default=[], metavar="FILE[:WEIGHT]", help="bake a LoRA in")
    parser.add_argument("--force", action="store_true", help="write OUT anew where it is there")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    wish = parser.parse_args(arguments)
    target: Path = wish.target
    if target.suffix != ".safetensors":
        parser.error("OUT has to end in .safetensors")
    if target.exists() and not wish.force:
        parser.error(f"{target} is there already; --force writes it anew")
    if wish.lora and wish.merge:
        parser.error("--lora and --merge are two steps; do one after the other")
    if wish.add_difference and not wish.merge:
        parser.error("--add-difference needs --merge B")
    if wish.vae and wish.no_vae:
        parser.error("--vae and --no-vae exclude each other")
    files: dict[tuple[ModelKind, str], Path] = {}
    try:
        spec = _spec(wish, files)
    except ValidationError as error:
        parser.error("; ".join(str(problem["msg"]) for problem in error.errors()))
    except ValueError as error:
        parser.error(str(error))
    missing = next((path for path in files.values() if not path.exists()), None)
    if missing is not None:
        parser.error(f"there is no file {missing}")
    if any(path.resolve() == target.resolve() for path in files.values()):
        parser.error("OUT is one of the files that are read; choose another name")
    return _make(spec, target, files)


def _make(spec: FileSpec, target: Path, files: dict[tuple[ModelKind, str], Path]) -> int:
    import gpu_worker.engine  # noqa: F401 (its environment must stand before torch is imported)
    from gpu_worker.convert.making import make_file
    from gpu_worker.engine.errors import EngineError

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        made = make_file(spec, target, lambda kind, name: files[kind, name], _sha256, _Terminal())
    except EngineError as error:
        print(_sentence(error), file=sys.stderr)  # noqa: T201
        return FAILED
    except (OSError, MemoryError) as error:
        print(f"The file could not be written: {error}", file=sys.stderr)  # noqa: T201
        return FAILED
    print(f"{made.path}\nsha256 {made.sha256}")  # noqa: T201
    return WRITTEN


def _spec(wish: argparse.Namespace, files: dict[tuple[ModelKind, str], Path]) -> FileSpec:
    """Raises ValueError."""

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
    """A file and its weight behind the last colon, which a path may have without one."""
    path, colon, weight = text.rpartition(":")
    if colon and not Path(text).exists():
        try:
            return Path(path), float(weight)
        except ValueError:
            raise ValueError(f"{weight} is no weight; write --lora FILE:0.8") from None
    return Path(text), 1.0


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def _sentence(error: Exception) -> str:
    detail = getattr(error, "detail", {})
    reason = _REASONS.get(str(detail.get("reason")))
    if reason is not None:
        return reason.format_map(detail)
    problem = _PROBLEMS.get(str(detail.get("problem")))
    about = next((detail[kind] for kind in _KINDS if kind in detail), None)
    if problem is not None and about is not None:
        return f"{about} {problem}."
    if "needed_bytes" in detail:
        needed, free = detail["needed_bytes"] / 1e9, detail["free_bytes"] / 1e9
        return f"The disk has {free:.1f} GB free, and this needs {needed:.1f} GB; make room and try again."
    return f"The file could not be made ({error})."


if __name__ == "__main__":
    sys.exit(main())
