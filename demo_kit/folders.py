"""Where the recipe keeps its intermediate files: nothing of it is committed, all of it can be made again."""

import os
from pathlib import Path

__all__ = ["CHECKOUT", "KIT", "TOKENIZER", "work_folder"]

CHECKOUT = Path(__file__).parent.parent
KIT = CHECKOUT / "data" / "demo"
"""The finished parts, committed."""
TOKENIZER = KIT / "sd-mini" / "tokenizer"


def work_folder(name: str) -> Path:
    """A folder below data/training (or PINCEL_TRAINING), made where it is missing."""
    folder = Path(os.environ.get("PINCEL_TRAINING", CHECKOUT / "data" / "training")) / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder
