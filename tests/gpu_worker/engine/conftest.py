"""One engine on the demo checkpoint for the whole run: loading its libraries takes longer than most tests."""

import sys
from pathlib import Path

import pytest

import gpu_worker.engine  # noqa: F401 (its environment must stand before torch is imported)

sys.path.insert(0, str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[2] / "fidelity"))  # make_checkpoint

DEMO = Path(__file__).parents[3] / "data" / "demo"


@pytest.fixture(scope="session")
def vocabulary():
    """CLIP's tokenizer."""
    return DEMO / "sd-mini" / "tokenizer"


@pytest.fixture(scope="session")
def models_dir(tmp_path_factory):
    """The operator's models folder; tests put files with names of their own into it."""
    folder = tmp_path_factory.mktemp("data") / "models"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "loras").mkdir()
    return folder


@pytest.fixture(scope="session")
def engine(models_dir):
    from gpu_worker.engine.engine import Engine
    from gpu_worker.engine.options import EngineOptions

    engine = Engine(models_dir=models_dir, demo_dir=DEMO, options=EngineOptions(device="cpu"))
    yield engine
    engine.close()
