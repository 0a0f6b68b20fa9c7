"""Makes `setting` importable."""

import sys
from pathlib import Path

import gpu_worker.engine  # noqa: F401 (its environment must stand before torch is imported)

sys.path.insert(0, str(Path(__file__).parent))
