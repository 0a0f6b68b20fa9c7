"""What a worker's processes say to whoever keeps them."""

from __future__ import annotations

import logging
import os
import sys

from gpu_worker.language.log_lines import JSON, LOG_FORMAT, JsonLines, catch_the_rest

__all__ = ["set_up_logging"]


def set_up_logging(name: str | None = None) -> None:
    """To stderr, which the bot keeps in a file. A worker's, by its name, is as PINCEL_LOG_FORMAT says."""
    console = logging.StreamHandler(sys.stderr)
    logging.basicConfig(level=logging.INFO, handlers=[console], force=True)
    if name is not None and os.environ.get(LOG_FORMAT, "").strip().lower() == JSON:
        console.setFormatter(JsonLines({"worker": name}))
        catch_the_rest(logging.getLogger("printed"))
    else:
        console.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
