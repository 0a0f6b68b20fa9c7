"""Drawing: torch and diffusers live here and nowhere else. `gpu_worker.engine.engine.Engine` is the way in."""

import os

# The hub libraries read these when they are imported, so they must be set before. Nothing is ever fetched.
for _name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "HF_HUB_DISABLE_PROGRESS_BARS"):
    os.environ[_name] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
