"""Parts of add-ons in the engine: the example's sampler and upscaler draw, and what is broken is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gpu_worker.engine.addons import load_parts
from gpu_worker.language.addons import Addon, FoundAddon, SamplerPart, UpscalerPart

CHECKOUT = Path(__file__).resolve().parents[3]
EXAMPLE = CHECKOUT / "tests" / "gpu_worker" / "addon_example"

DRAWN = """
import io, json, sys
from pathlib import Path
from types import SimpleNamespace
from PIL import Image
from gpu_worker.engine.addons import engine_parts
from gpu_worker.engine.engine import Engine
from gpu_worker.engine.options import EngineOptions
from gpu_worker.protocol.specs import Hires, Txt2Img
engine = Engine(
    models_dir=Path(sys.argv[1]) / "models", demo_dir=Path("data/demo"), options=EngineOptions(device="cpu")
)
hooks = SimpleNamespace(preview=SimpleNamespace(hz=0.0, px=64, max_kb=8), progress=lambda *_: None,
                        cancelled=lambda: False, open_image=None, load_s=0.0)
facts = [fact.name for fact in engine.facts() if fact.kind == "upscaler"]
spec = Txt2Img(prompt="a red circle", checkpoint="pincel-demo", width=64, height=64, steps=3, seed=1,
               sampler="Midpoint", hires=Hires(scale=2.0, upscaler="Mosaic", denoising_strength=0.3))
(drawn,) = engine.draw(spec, hooks)
told = [[one.name, list(one.parts), bool(one.problem)] for one in engine_parts().told]
print(json.dumps([facts, told, [drawn.width, drawn.height], drawn.infotext]))
"""


@pytest.mark.slow
def test_the_example_draws_with_its_sampler_and_its_upscaler(tmp_path):
    path = os.pathsep.join((str(CHECKOUT), str(EXAMPLE)))
    done = subprocess.run(
        [sys.executable, "-c", DRAWN, str(tmp_path)], cwd=CHECKOUT, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    facts, told, size, infotext = json.loads(done.stdout.splitlines()[-1])
    assert facts == ["Mosaic"]
    assert ["example", ["sampler Midpoint", "upscaler Mosaic"], False] in told
    assert ["missing", [], True] in told
    assert size == [128, 128]
    assert "Sampler: Midpoint" in infotext
    assert "Hires upscaler: Mosaic" in infotext


def found(name: str, **parts) -> FoundAddon:
    return FoundAddon(name, name, "1", Addon(name, **parts))


def test_one_part_that_fails_costs_only_itself():
    broken = found(
        "a",
        samplers=(SamplerPart("Euler", "math:sqrt"), SamplerPart("S", "math:sqrt"), SamplerPart("T", "math:nothing")),
        upscalers=(UpscalerPart("Lanczos", "math:sqrt"), UpscalerPart("U", "math:pi")),
    )
    parts = load_parts([broken, found("b", samplers=(SamplerPart("S", "math:sqrt"),))])
    assert list(parts.loops) == ["S"]
    assert parts.upscalers == {}
    first, second = parts.told
    assert first.parts == ("sampler S",)
    for word in ("Euler", "math:nothing", "Lanczos", "math:pi"):
        assert word in (first.problem or "")
    assert (second.parts, second.problem) == ((), "there is a sampler S already")
