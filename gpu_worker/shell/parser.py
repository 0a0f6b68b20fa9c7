"""The options of `imagine`, in groups; A1111's own names work beside the short ones."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from gpu_worker.engine_arguments import add_engine_arguments

__all__ = ["make_parser"]

_DESCRIPTION = """Draws pictures from a prompt, changes a picture, or enlarges one; no bot, no Discord.

  imagine "a red apple" --out apple.png
  imagine "a castle" --hires 2 --denoise 0.4 --sampler "DPM++ 2M Karras" --seed 7
  imagine "a castle at night" --init castle.png --denoise 0.6
  imagine "a door" --init castle.png --mask door.png --only-masked
  imagine --infotext old.png
  imagine --upscale castle.png --by 4 --upscaler 4x-UltraSharp"""


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="imagine",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("prompt", nargs="?", default="")
    add(
        "--out",
        type=Path,
        default=Path("imagine.png"),
        help="where to save, .png, .jpg or .webp; several pictures get -1, -2 …",
    )
    add("--negative", "--no", help="what to keep out of the picture")
    add("--infotext", metavar="FILE", help="draw an old picture again: the picture, a text file, or the text itself")
    add("--data", type=Path, help="the data folder; default: PINCEL_DATA, else data/ of the checkout")
    _add_common(parser)
    _add_seeds(parser)
    _add_second_pass(parser)
    _add_picture(parser)
    _add_upscale(parser)
    _add_sampling(parser)
    add_engine_arguments(parser, os.environ)
    return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("drawing").add_argument
    add("--checkpoint", "--model", help="a name from the models folder; default: the first one there, else the demo")
    add("--vae", help="Automatic, None, or a VAE file's name")
    add("--width", type=int, help="pixels, a multiple of 8; default: the checkpoint's native size")
    add("--height", type=int)
    add("--steps", type=int, help="1 to 150")
    add("--cfg", "--cfg-scale", type=float, help="CFG scale, 1 to 30")
    add("--sampler", help='for example "DPM++ 2M", "Euler a", "DDIM" or "DPM++ 2M Karras"')
    add("--schedule", "--scheduler", help="for example Karras, Exponential, SGM Uniform, Beta")
    add("--clip-skip", type=int, help="1 to 12")
    add("--count", "--batch-count", type=int, help="pictures, 1 to 16")
    add("--batch-size", type=int, help="how many are drawn at once; 0: all")
    add("--tiling", "--tile", action="store_true", default=None, help="edges that fit each other")
    add("--restore-faces", action="store_true", default=None, help="draw faces again with a model made for them")
    add("--face-model", choices=("CodeFormer", "GFPGAN"), help="default: CodeFormer if it is installed")
    add("--face-visibility", type=float, help="0 to 1")
    add(
        "--detail-fix", "--fix", metavar="WHAT", help="draw what a detector finds once more: face, hand, person, a name"
    )
    add("--face-weight", "--codeformer-weight", type=float, help="CodeFormer's, 0 (strongest) to 1")
    add("--refiner", metavar="NAME[@SHARE]", help="a second checkpoint for the last part, for example name@0.8")


def _add_seeds(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("seeds").add_argument
    add("--seed", type=int)
    add("--variation-seed", "--subseed", type=int)
    add("--variation-strength", "--subseed-strength", type=float, help="0 to 1")
    add("--seed-resize", "--seed-resize-from", metavar="WxH", help="keep the layout of another size")
    add("--rng", choices=("GPU", "CPU", "NV"), type=str.upper, help="where A1111 drew its noise; GPU is its default")
    add("--ensd", type=int, help="eta noise seed delta")


def _add_second_pass(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("second pass (hires fix)").add_argument
    add("--hires", "--hires-scale", metavar="SCALE|WxH", help="draw a second pass at this size")
    add("--hires-steps", type=int, help="0: as the first pass")
    add("--hires-upscaler", help='"Lanczos", "Latent", an upscaler model …')
    add("--hires-denoise", type=float, help="as --denoise, for the second pass")
    add("--hires-sampler")
    add("--hires-schedule")
    add("--hires-checkpoint")
    add("--hires-prompt")
    add("--hires-negative")
    add("--denoise", "--denoising-strength", type=float, help="how much the second pass or --init may change, 0 to 1")


def _add_picture(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("from a picture").add_argument
    add("--init", type=Path, metavar="PICTURE", help="the picture to start from")
    add("--resize-mode", help="just, crop, fill or latent; default: just")
    add("--exact-steps", action="store_true", default=None, help="draw all steps, not about steps x denoise")
    add("--mask", type=Path, metavar="PICTURE", help="where to repaint: white, or opaque")
    add("--mask-blur", type=int)
    add("--invert-mask", action="store_true", default=None, help="repaint what the mask leaves out")
    add("--inpaint-content", "--mask-content", help="fill, original, latent noise or latent nothing")
    add("--only-masked", action="store_true", default=None, help="draw the masked part at full size")
    add("--padding", type=int, help="pixels around it")
    add("--extend", metavar="SIDES", help="new canvas, for example left:64,right:64; one number is for all sides")
    add("--color-correction", action="store_true", default=None)
    add("--mask-weight", type=float)
    add("--image-cfg", type=float)
    add("--noise-multiplier", type=float)
    add("--extra-noise", type=float)


def _add_upscale(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("enlarging a finished picture").add_argument
    add("--upscale", type=Path, metavar="PICTURE")
    add("--by", type=float, help="1 to 8; default 4")
    add("--to", metavar="WxH", help="cover this size instead")
    add("--no-crop", action="store_true", help="with --to: do not cut to the size")
    add("--upscaler", help="Lanczos, Nearest, or an upscaler model's name")
    add("--upscaler-2")
    add("--visibility-2", type=float)
    add("--gfpgan", type=float, metavar="VISIBILITY")
    add("--codeformer", type=float, metavar="VISIBILITY")


def _add_sampling(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("for those who know").add_argument
    add("--emphasis", help="Original, No norm, Ignore or None")
    add("--old-editing", action="store_true", default=None, help="prompt editing as before A1111 1.6")
    for name, text in (
        ("--ngms", "negative guidance minimum sigma"), ("--eta", "0 to 1"), ("--s-churn", None), ("--s-tmin", None),
        ("--s-tmax", None), ("--s-noise", None), ("--sigma-min", None), ("--sigma-max", None), ("--rho", None),
    ):  # fmt: skip
        add(name, type=float, help=text)
    add("--discard-penultimate", action="store_true", default=None)
    add("--zero-snr", action="store_true", default=None)
    add("--downcast-alphas", action="store_true", default=None)
