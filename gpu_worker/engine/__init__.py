"""Drawing: torch and diffusers live here and nowhere else. `gpu_worker.engine.engine.Engine` is the way in."""

import os

# Libraries read these while they are imported, so they must be set before.
for _name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "HF_HUB_DISABLE_PROGRESS_BARS"):
    os.environ[_name] = "1"  # nothing is ever fetched
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# OpenMP threads that spin while they wait for one another starve the bot beside them and, on a machine with other
# work, each other: drawing on two busy cores was measured four times slower without this.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
