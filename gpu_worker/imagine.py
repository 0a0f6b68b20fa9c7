"""`python -m gpu_worker.imagine "a red apple"`: one picture (or a few) from the shell, with no bot and no Discord.

Exit codes: 0 drawn, 1 could not be drawn, 2 bad input.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from gpu_worker.language.models import default_checkpoint
from gpu_worker.language.names import AUTOMATIC, resolve_sampler
from gpu_worker.protocol.messages import ModelFact, PreviewWish
from gpu_worker.protocol.specs import Hires, ImageRef, Txt2Img

if TYPE_CHECKING:
    from gpu_worker.engine.errors import EngineError

__all__ = ["main"]

DRAWN, FAILED, BAD_INPUT = 0, 1, 2
ROOT = Path(__file__).resolve().parent.parent


class _BadInputError(Exception):
    """Its text is the sentence for the user."""


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
    options = _parser().parse_args(arguments)
    try:
        return _imagine(options)
    except _BadInputError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return BAD_INPUT
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)  # noqa: T201
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="imagine", description="Draws pictures from a prompt.")
    add = parser.add_argument
    add("prompt")
    add("--out", type=Path, default=Path("imagine.png"), help="where to save; several pictures get -1, -2 …")
    add("--negative", default="", help="what to keep out of the picture")
    add("--checkpoint", help="a name from the models folder; default: the first one there, else the demo")
    add("--width", type=int, help="pixels, a multiple of 8; default: the checkpoint's native size")
    add("--height", type=int)
    add("--steps", type=int)
    add("--cfg", type=float, help="CFG scale, 1 to 30")
    add("--sampler", help='for example "DPM++ 2M", "Euler a", "DDIM" or "DPM++ 2M Karras"')
    add("--schedule", help="Automatic, Uniform, Karras or Exponential")
    add("--seed", type=int)
    add("--count", type=int, default=1, help="1 to 4")
    add("--hires-scale", type=float, help="draw a second pass at so many times the size, up to 4")
    add("--clip-skip", type=int, default=1)
    add("--data", type=Path, help="the data folder; default: PINCEL_DATA, else data/ of the checkout")
    return parser


def _imagine(options: argparse.Namespace) -> int:
    data = options.data or Path(os.environ.get("PINCEL_DATA") or ROOT / "data")
    if not options.out.absolute().parent.is_dir():
        raise _BadInputError(f"There is no folder {options.out.absolute().parent}; create it or choose another --out.")

    from gpu_worker.engine.engine import Engine, EngineError

    engine = Engine(models_dir=data / "models", demo_dir=ROOT / "data" / "demo")
    spec = _spec(options, engine.facts())
    try:
        drawn = engine.draw(spec, _Terminal())
    except EngineError as error:
        sys.stderr.write("\r" + " " * 30 + "\r" if sys.stderr.isatty() else "")
        if error.kind in {"bad_input", "missing_model"}:
            raise _BadInputError(_sentence(error)) from error
        print(_sentence(error), file=sys.stderr)  # noqa: T201
        return FAILED
    finally:
        engine.close()
    sys.stderr.write("\n" if sys.stderr.isatty() else "")
    for index, picture in enumerate(drawn, start=1):
        path = options.out if len(drawn) == 1 else options.out.with_stem(f"{options.out.stem}-{index}")
        try:
            path.write_bytes(picture.png)
        except OSError as error:
            print(f"{path} cannot be written ({error.strerror}); choose another --out.", file=sys.stderr)  # noqa: T201
            return FAILED
        print(path)  # noqa: T201
        print(picture.infotext)  # noqa: T201
    return DRAWN


def _spec(options: argparse.Namespace, facts: tuple[ModelFact, ...]) -> Txt2Img:
    name = options.checkpoint or default_checkpoint(facts)
    fact = next((fact for fact in facts if fact.kind == "checkpoint" and fact.name == name), None)
    if fact is None:
        known = ", ".join(f.name for f in facts if f.kind == "checkpoint" and not f.problem) or "none"
        raise _BadInputError(f"There is no checkpoint {name}. Put one into models/checkpoints; there are: {known}.")
    if not options.prompt.strip():
        raise _BadInputError('The prompt is empty; say what to draw, for example "a red apple on a blue background".')
    best: dict[str, Any] = {
        "sampler": "DPM++ 2M", "schedule": AUTOMATIC, "steps": 20, "cfg_scale": 7.0,
        "width": fact.native_px or 512, "height": fact.native_px or 512,
    } | (fact.defaults or {})  # fmt: skip
    given = {
        "sampler": options.sampler, "schedule": options.schedule, "steps": options.steps, "cfg_scale": options.cfg,
        "width": options.width, "height": options.height,
    }  # fmt: skip
    if options.sampler and options.schedule is None:
        best["schedule"] = AUTOMATIC
    values = best | {key: value for key, value in given.items() if value is not None}
    choice = resolve_sampler(values["sampler"], values["schedule"])
    if choice is not None:
        values |= {"sampler": choice.sampler, "schedule": choice.schedule}
    try:
        return Txt2Img(
            prompt=options.prompt,
            negative_prompt=options.negative,
            checkpoint=fact.name,
            clip_skip=options.clip_skip,
            seed=random.randrange(2**32) if options.seed is None else options.seed,
            count=options.count,
            hires=Hires(scale=options.hires_scale) if options.hires_scale is not None else None,
            **values,
        )
    except ValidationError as error:
        first = error.errors()[0]
        where = "hires-scale" if "scale" in map(str, first["loc"]) else str(first["loc"][-1]).removesuffix("_scale")
        raise _BadInputError(f"--{where.replace('_', '-')}: {first['msg']}.") from error


def _sentence(error: EngineError) -> str:
    """One plain sentence with the next step."""
    detail = error.detail
    if "lora" in detail:
        name = detail["lora"]
        if error.kind == "missing_model":
            return (
                f"There is no LoRA {name}; put {name}.safetensors into models/loras or take its tag out of the prompt."
            )
        if detail.get("reason") == "lora_misfit":
            return f"The LoRA {name} does not fit this checkpoint; take its tag out or choose another checkpoint."
        if detail.get("reason") == "lora_tag":
            return f"The weight in the tag of LoRA {name} is no number; write it like <lora:{name}:0.8>."
        return f"The LoRA {name} cannot be used ({detail.get('problem')}); download it again as .safetensors."
    if "sampler" in detail:
        return f'Cannot draw with {detail["sampler"]} and {detail["schedule"]}; try --sampler "DPM++ 2M".'
    if "network" in detail:
        return f"Pincel draws with LoRAs, not with {detail['network']}; take its tag out of the prompt."
    if detail.get("reason") == "size":
        return f"{detail['width']} x {detail['height']} is too large; stay below {detail['limit_px']} pixels a side."
    if error.kind == "oom":
        return "There is not enough memory for this; try a smaller size or --count 1."
    if "checkpoint" in detail:
        return f"The checkpoint {detail['checkpoint']} cannot be used ({detail.get('problem')}); choose another one."
    return f"This could not be drawn ({error.message})."


if __name__ == "__main__":
    raise SystemExit(main())
