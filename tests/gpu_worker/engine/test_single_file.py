"""Single-file checkpoints drawn with, each family's small one and a pickled one, and files that are none."""

import os
import pickle

import pytest
import torch
from drawing import Recorder, draw, pixels, spec
from make_checkpoint import weights_of, write_checkpoint
from safetensors.torch import save_file

from gpu_worker.engine.engine import EngineError
from gpu_worker.language.infotext import parse_infotext

SMALL = {"width": 64, "height": 64, "steps": 2}


@pytest.fixture(scope="module")
def small(models_dir):
    write_checkpoint(models_dir / "checkpoints" / "small.safetensors", "sd15-small")


def test_it_loads_and_draws_with_the_shape_of_its_weights(engine, small):
    (drawn,) = draw(engine, checkpoint="small", **SMALL)
    assert pixels(drawn).shape == (64, 64, 3)
    assert pixels(drawn).std() > 1
    assert engine.loaded == "small"
    fields = parse_infotext(drawn.infotext).fields
    assert fields["Model"] == "small"
    fact = next(fact for fact in engine.facts() if fact.name == "small")
    assert fact.sha256[:10] == fields["Model hash"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", ["sd15-inpaint", "sd15-pix2pix", "sd21-base", "sd21-v", "sdxl", "sdxl-inpaint", "sdxl-refiner"]
)
def test_every_family_draws(engine, models_dir, kind):
    write_checkpoint(models_dir / "checkpoints" / f"{kind}.safetensors", f"{kind}-small")
    one, two = (pixels(draw(engine, checkpoint=kind, prompt=prompt, **SMALL)[0]) for prompt in ("a cat", "two dogs"))
    assert one.std() > 1
    assert (one != two).any()


@pytest.mark.slow
def test_a_pickled_file_draws_what_the_same_weights_draw(engine, small, models_dir):
    for name, options in (("zip", {}), ("legacy", {"_use_new_zipfile_serialization": False})):
        weights = {"state_dict": weights_of("sd15-small", dtype=torch.float16), "global_step": 3}
        torch.save(weights, models_dir / "checkpoints" / f"{name}.ckpt", **options)
        pickled, plain = (draw(engine, checkpoint=which, **SMALL)[0] for which in (name, "small"))
        assert (pixels(pickled) == pixels(plain)).all()


def test_a_file_that_changed_is_loaded_anew(engine, models_dir):
    path = models_dir / "checkpoints" / "changing.safetensors"
    write_checkpoint(path, "sd15-small", seed=1)
    before = pixels(draw(engine, checkpoint="changing", **SMALL)[0])
    path.unlink()
    write_checkpoint(path, "sd15-small", seed=2)
    os.utime(path, ns=(1, 1))
    assert (pixels(draw(engine, checkpoint="changing", **SMALL)[0]) != before).any()


@pytest.mark.parametrize("lost", ["model.diffusion_model.out.2.weight", "first_stage_model.quant_conv.bias"])
def test_a_checkpoint_with_a_hole_is_bad_and_the_engine_goes_on(engine, models_dir, lost):
    weights = weights_of("sd15-small", dtype=torch.float16)
    del weights[lost]
    save_file(weights, models_dir / "checkpoints" / "hole.safetensors")
    with pytest.raises(EngineError) as caught:
        draw(engine, checkpoint="hole", **SMALL)
    assert (caught.value.kind, caught.value.detail) == ("bad_model", {"checkpoint": "hole", "problem": "corrupt"})
    assert draw(engine, **SMALL)


def test_a_tensor_of_another_shape_is_a_bad_model(engine, models_dir):
    weights = weights_of("sd15-small", dtype=torch.float16)
    weights["model.diffusion_model.input_blocks.1.0.in_layers.2.bias"] = torch.zeros(7)
    save_file(weights, models_dir / "checkpoints" / "crooked.safetensors")
    with pytest.raises(EngineError) as caught:
        draw(engine, checkpoint="crooked", **SMALL)
    assert caught.value.kind == "bad_model"


class _Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was executed",))


@pytest.mark.parametrize("name", ["evil.ckpt", "evil2.safetensors"])
def test_pickles_that_would_run_something_are_refused(engine, models_dir, name):
    (models_dir / "checkpoints" / name).write_bytes(pickle.dumps({"state_dict": _Bomb()}, 4))
    with pytest.raises(EngineError) as caught:
        draw(engine, checkpoint=name.split(".")[0], **SMALL)
    assert (caught.value.kind, caught.value.detail["problem"]) == ("bad_model", "unsafe")


def test_an_unknown_checkpoint_is_missing(engine):
    hooks = Recorder()
    with pytest.raises(EngineError) as caught:
        engine.draw(spec(checkpoint="nowhere"), hooks)
    assert (caught.value.kind, caught.value.detail) == ("missing_model", {"checkpoint": "nowhere"})
    with pytest.raises(EngineError):
        engine.prepare("nowhere")


def test_an_unknown_sampler_is_refused(engine):
    with pytest.raises(EngineError) as caught:
        draw(engine, sampler="nonsense", schedule="Automatic")
    assert caught.value.kind == "bad_input"
    assert caught.value.detail == {"sampler": "nonsense", "schedule": "Automatic"}
