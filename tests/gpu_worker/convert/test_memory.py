"""A file larger than the memory that making it takes."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[3]
TENSORS, TENSOR_BYTES = 24, 64 << 20
LIMIT_BYTES = TENSORS * TENSOR_BYTES * 2 // 3


def anonymous_bytes(pid):
    """What the process holds besides mapped files, which the system takes back when it needs room."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) << 10
    return 0


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_memory_stays_bounded(tmp_path):
    header = {
        f"model.{number}": {
            "dtype": "F32", "shape": [TENSOR_BYTES // 4],
            "data_offsets": [number * TENSOR_BYTES, (number + 1) * TENSOR_BYTES],
        }
        for number in range(TENSORS)
    }  # fmt: skip
    raw = json.dumps(header).encode()
    with (tmp_path / "large.safetensors").open("wb") as file:
        file.write(len(raw).to_bytes(8, "little") + raw)
        file.truncate(8 + len(raw) + TENSORS * TENSOR_BYTES)
    command = [sys.executable, "-m", "gpu_worker.convert", "large.safetensors", "small.safetensors"]
    process = subprocess.Popen(command, cwd=tmp_path, env={"PYTHONPATH": str(CHECKOUT)})
    most = 0
    while process.poll() is None:
        try:
            most = max(most, anonymous_bytes(process.pid))
        except (FileNotFoundError, ProcessLookupError):
            break
        time.sleep(0.02)
    assert process.wait() == 0
    assert (tmp_path / "small.safetensors").stat().st_size > TENSORS * TENSOR_BYTES // 2
    assert 0 < most < LIMIT_BYTES
