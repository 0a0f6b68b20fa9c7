"""`python -m gpu_worker.imagine "a red apple"`: pictures from the shell, with no bot and no Discord.

Exit codes: 0 drawn, 1 could not be drawn, 2 bad input.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gpu_worker.engine_arguments import engine_options
from gpu_worker.language.trees import split_folders
from gpu_worker.protocol.messages import PreviewWish
from gpu_worker.protocol.specs import ImageRef
from gpu_worker.shell.errors import BadInputError
from gpu_worker.shell.parser import make_parser
from gpu_worker.shell.pictures import FORMATS, encoded, numbered, read_infotext_option
from gpu_worker.shell.request import build_spec
from gpu_worker.shell.sentences import sentence

__all__ = ["main"]

DRAWN, FAILED, BAD_INPUT = 0, 1, 2
ROOT = Path(__file__).resolve().parent.parent


class _Terminal:
    """Hooks that keep one progress line on standard error."""

    preview = PreviewWish(hz=0)

    def progress(self, phase: str, step: int, of: int, preview: bytes | None) -> None:
        text = f"{phase} {step}/{of}" if of > 1 else phase
        sys.stderr.write(f"\r{text:<30}" if sys.stderr.isatty() else "")
        sys.stderr.flush()

    def cancelled(self) -> bool:
        return False

    def open_image(self, ref: ImageRef) -> bytes:
        return Path(ref.ref).read_bytes()


def main(arguments: Sequence[str] | None = None) -> int:
    options = make_parser().parse_args(arguments)
    try:
        return _imagine(options)
    except BadInputError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return BAD_INPUT
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)  # noqa: T201
        return FAILED


def _imagine(options: argparse.Namespace) -> int:
    data = options.data or Path(os.environ.get("PINCEL_DATA") or ROOT / "data")
    if not options.out.absolute().parent.is_dir():
        raise BadInputError(f"There is no folder {options.out.absolute().parent}; create it or choose another --out.")
    if options.out.suffix.lower() not in FORMATS:
        raise BadInputError(f"{options.out} is no name for a picture; end it in .png, .jpg or .webp.")
    recorded: dict[str, Any] = {}
    if options.infotext is not None:
        recorded, notes = read_infotext_option(options.infotext)
        for note in notes:
            print(f"Not taken over as it stands: {note.key}: {note.value}", file=sys.stderr)  # noqa: T201
        if recorded.get("mask") and options.init is not None and options.mask is None:
            print("The old picture was drawn with a mask, which no text holds; name it with --mask.", file=sys.stderr)  # noqa: T201

    from gpu_worker.engine.engine import Engine, EngineError

    try:
        engine = Engine(
            models_dir=data / "models",
            demo_dir=ROOT / "data" / "demo",
            options=engine_options(options),
            extra_folders=split_folders(os.environ.get("PINCEL_MODEL_FOLDERS", ""), ROOT),
        )
    except EngineError as error:
        raise BadInputError(sentence(error)) from error
    try:
        drawn = engine.draw(build_spec(options, engine.facts(), recorded), _Terminal())
    except EngineError as error:
        sys.stderr.write("\r" + " " * 30 + "\r" if sys.stderr.isatty() else "")
        if error.kind in {"bad_input", "missing_model"}:
            raise BadInputError(sentence(error)) from error
        print(sentence(error), file=sys.stderr)  # noqa: T201
        return FAILED
    finally:
        engine.close()
    sys.stderr.write("\n" if sys.stderr.isatty() else "")
    for path, picture in zip(numbered(options.out, len(drawn)), drawn, strict=True):
        try:
            path.write_bytes(encoded(picture.png, picture.infotext, options.out.suffix))
        except OSError as error:
            print(f"{path} cannot be written ({error.strerror}); choose another --out.", file=sys.stderr)  # noqa: T201
            return FAILED
        print(path)  # noqa: T201
        print(picture.infotext)  # noqa: T201
    return DRAWN


if __name__ == "__main__":
    raise SystemExit(main())
