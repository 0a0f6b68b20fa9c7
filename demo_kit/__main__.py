"""`python -m demo_kit PART…`: train and export parts of the kit; a run that was interrupted goes on."""

import argparse
import sys

from demo_kit.device import use_best_device
from demo_kit.loop import limit_time
from demo_kit.parts import FURTHER, PARTS


def main(arguments: list[str]) -> int:
    """Exit code 0, or 2 for a word that is no part."""
    steps = PARTS | FURTHER
    made = {part.__name__: part for part in steps}
    listing = "\n".join(f"  {name:<17}{part.__doc__} ({steps[part]} steps)" for name, part in made.items())
    parser = argparse.ArgumentParser(
        prog="python -m demo_kit",
        description=__doc__,
        epilog=listing,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("part", nargs="+", choices=[*made, "all"], metavar="PART")
    parser.add_argument("--steps", type=int, help="instead of the part's own number")
    parser.add_argument("--seconds", type=float, help="end each run after that time, whatever its steps")
    options = parser.parse_args(arguments)
    use_best_device()
    limit_time(options.seconds)
    for name in [part.__name__ for part in PARTS] if "all" in options.part else options.part:
        made[name](options.steps or steps[made[name]])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
