"""The bot starts without the worker's libraries: not even an indirect import of one may creep in."""

import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PROGRAM = """
import importlib, pkgutil, sys
for heavy in ("torch", "diffusers", "transformers", "numpy", "safetensors", "accelerate", "gpu_worker.engine"):
    sys.modules[heavy] = None  # any import of it raises ImportError
import warnings
warnings.simplefilter("ignore", DeprecationWarning)
import bot, cogs
count = 0
for package in (bot, cogs):
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not found.name.endswith(".__main__"):
            importlib.import_module(found.name)
            count += 1
importlib.import_module("bot.__main__")
print(count)
"""


def test_everything_of_the_bot_imports_without_the_engine():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=CHECKOUT, env={"PYTHONPATH": str(CHECKOUT), "PATH": ""},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 70, "the walk finds nothing"
