"""`python -m gpu_worker.read_picture`: what a picture says about how it was made, for a bot that must not be disturbed.

The picture's bytes come on stdin; the answer is one JSON string, A1111's text, or null. A process of its own, because
anybody's file may cost memory and time; whoever started it can end it.
"""

from __future__ import annotations

import json
import sys

from gpu_worker.language.reader import be_modest

__all__ = ["main"]

LIMIT_BYTES = 64 * 1024 * 1024
LIMIT_CHARS = 100_000


def main() -> int:
    be_modest(hurry=True)
    data = sys.stdin.buffer.read(LIMIT_BYTES + 1)
    from gpu_worker.engine.images.foreign import read_text

    found = read_text(data) if len(data) <= LIMIT_BYTES else None
    sys.stdout.write(json.dumps(found if found and len(found) <= LIMIT_CHARS else None))
    return 0


if __name__ == "__main__":
    sys.exit(main())
