"""Random checkpoints of every family, and a shop that makes files from files by name."""

import hashlib
import sys
from pathlib import Path

import pytest
from safetensors import safe_open
from safetensors.torch import load_file

import gpu_worker.engine  # noqa: F401 (its environment must stand before torch is imported)

sys.path.append(str(Path(__file__).parents[2] / "fidelity"))  # make_checkpoint
sys.path.insert(0, str(Path(__file__).parent))


class Calm:
    """Never stops, and notes what it was told."""

    def __init__(self):
        self.told = []

    def check(self):
        pass

    def report(self, done, of):
        self.told.append((done, of))


class Shop:
    def __init__(self, folder):
        self.folder = folder
        self.files = {}

    def make(self, spec, name="made", progress=None):
        from gpu_worker.convert.making import make_file

        target = self.folder / f"{name}.safetensors"
        return make_file(spec, target, lambda kind, known: self.files[kind, known], digest, progress or Calm())

    def load(self, spec, name="made"):
        made = self.make(spec, name)
        with safe_open(made.path, "pt") as file:
            return load_file(made.path), file.metadata()


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path)
