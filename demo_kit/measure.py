"""`python -m demo_kit.measure`: draws what training has not seen, prints the figures and leaves a contact sheet."""

import argparse
import sys
from pathlib import Path

from demo_kit.evaluate import measure, questions
from demo_kit.evaluate_more import character_likeness, negative_gain, style_distance
from demo_kit.folders import KIT, work_folder
from demo_kit.studio import Studio, contact_sheet

WEIGHTS = (0.0, 0.5, 1.0)


def main(arguments: list[str]) -> int:
    """Exit code 0. Parts that the folder lacks are left out."""
    parser = argparse.ArgumentParser(prog="python -m demo_kit.measure", description=__doc__)
    parser.add_argument("--models", type=Path, default=KIT, help="folder laid out as data/models; default: the kit")
    parser.add_argument("--checkpoint", default="pincel-demo")
    parser.add_argument("--first", type=int, metavar="N", help="only the first N questions of each kind")
    options = parser.parse_args(arguments)
    # Elsewhere nothing that ships is taken for what is to be measured.
    studio = Studio(options.models, options.checkpoint, KIT if options.models == KIT else KIT / "sd-mini")
    asked = questions()
    if options.first:
        groups = dict.fromkeys(one.group for one in asked)
        asked = [one for group in groups for one in [one for one in asked if one.group == group][: options.first]]
    figures, pictures = measure(studio, asked)
    lines = [str(figures), *(f"  not right: {line}" for line in figures.wrong)]
    if (options.models / "embeddings" / "pincel-negative.safetensors").is_file():
        lines.append(f"sharper by the negative embedding: {negative_gain(studio, 'pincel-negative'):.2f} times")
    for name, figure in (
        ("pincel-raccoon", character_likeness),
        ("pincel-blueprint", style_distance),
        ("pincel-sepia-loha", style_distance),
    ):
        if (options.models / "loras" / f"{name}.safetensors").is_file():
            shares = zip(WEIGHTS, figure(studio, name, WEIGHTS), strict=True)
            lines.append(f"{name}: " + ", ".join(f"{share:.2f} at {weight}" for weight, share in shares))
    sheet = work_folder("sheets") / f"{options.checkpoint}.png"
    contact_sheet(pictures).save(sheet)
    print("\n".join([*lines, f"contact sheet: {sheet}"]))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
