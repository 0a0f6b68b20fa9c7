"""Single-file checkpoints in the original layout, made here with random weights, and files that are none."""

import pickle

import pytest
import torch
from drawing import Recorder, draw, pixels, spec
from safetensors.torch import save_file
from small_checkpoint import save_small_checkpoint, small_weights

from gpu_worker.engine.engine import EngineError
from gpu_worker.language.infotext import parse_infotext

SMALL = {"width": 64, "height": 64, "steps": 2}


@pytest.fixture(scope="module")
def weights(models_dir):
    return save_small_checkpoint(models_dir / "checkpoints" / "small.safetensors")


def test_it_loads_and_draws_with_the_shape_of_its_weights(engine, weights):
    (drawn,) = draw(engine, checkpoint="small", **SMALL)
    assert pixels(drawn).shape == (64, 64, 3)
    assert pixels(drawn).std() > 1
    assert engine.loaded == "small"
    fields = parse_infotext(drawn.infotext).fields
    assert fields["Model"] == "small"
    fact = next(fact for fact in engine.facts() if fact.name == "small")
    assert fact.sha256[:10] == fields["Model hash"]


def test_every_weight_lands_where_diffusers_expects_it(engine, weights):
    checkpoint = engine._borrow(engine._checkpoint_file("small"))
    unet, vae, text = checkpoint.unet, checkpoint.vae, checkpoint.text_encoders[0].model
    assert unet.config.attention_head_dim == 8
    assert (unet.config.block_out_channels, unet.config.cross_attention_dim) == ((32, 64, 64, 64), 64)
    assert vae.config.block_out_channels == (32, 32, 32, 32)
    assert checkpoint.latent_scale == 0.18215
    pairs = {
        "model.diffusion_model.input_blocks.3.1.transformer_blocks.0.attn2.to_k.weight": (
            unet.down_blocks[1].attentions[0].transformer_blocks[0].attn2.to_k.weight
        ),
        "model.diffusion_model.output_blocks.1.1.conv.weight": unet.up_blocks[0].upsamplers[0].conv.weight,
        "model.diffusion_model.middle_block.2.in_layers.2.weight": unet.mid_block.resnets[1].conv1.weight,
        "first_stage_model.decoder.up.3.block.0.conv1.weight": vae.decoder.up_blocks[0].resnets[0].conv1.weight,
        "cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1.weight": text.encoder.layers[
            0
        ].mlp.fc1.weight,
    }
    for key, parameter in pairs.items():
        assert torch.equal(parameter, weights[key].half().float()), key


def test_files_from_before_the_text_models_prefix_draw_the_same(engine, weights, models_dir):
    save_small_checkpoint(models_dir / "checkpoints" / "older.safetensors", old_text_names=True)
    older, newer = (draw(engine, checkpoint=name, **SMALL)[0] for name in ("older", "small"))
    assert (pixels(older) == pixels(newer)).all()


def test_a_file_that_changed_is_loaded_anew(engine, models_dir):
    path = models_dir / "checkpoints" / "changing.safetensors"
    save_small_checkpoint(path, seed=1)
    before = pixels(draw(engine, checkpoint="changing", **SMALL)[0])
    path.unlink()
    save_small_checkpoint(path, seed=2)
    assert (pixels(draw(engine, checkpoint="changing", **SMALL)[0]) != before).any()


@pytest.mark.parametrize("lost", ["model.diffusion_model.out.2.weight", "first_stage_model.quant_conv.bias"])
def test_a_checkpoint_with_a_hole_is_bad_and_the_engine_goes_on(engine, models_dir, lost):
    weights = small_weights()
    del weights[lost]
    save_file(weights, models_dir / "checkpoints" / "hole.safetensors")
    with pytest.raises(EngineError) as caught:
        draw(engine, checkpoint="hole", **SMALL)
    assert (caught.value.kind, caught.value.detail["checkpoint"]) == ("bad_model", "hole")
    assert draw(engine, **SMALL)


def test_a_tensor_of_another_shape_is_a_bad_model(engine, models_dir):
    weights = small_weights()
    weights["model.diffusion_model.input_blocks.1.0.in_layers.2.bias"] = torch.zeros(7)
    save_file(weights, models_dir / "checkpoints" / "crooked.safetensors")
    with pytest.raises(EngineError) as caught:
        draw(engine, checkpoint="crooked", **SMALL)
    assert caught.value.kind == "bad_model"


class _Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was opened",))


@pytest.mark.parametrize("name", ["evil.ckpt", "evil2.safetensors"])
def test_pickles_are_refused_unopened(engine, models_dir, name):
    (models_dir / "checkpoints" / name).write_bytes(pickle.dumps({"state_dict": _Bomb()}, 4))
    with pytest.raises(EngineError) as caught:
        draw(engine, checkpoint=name.split(".")[0], **SMALL)
    assert (caught.value.kind, caught.value.detail["problem"]) == ("bad_model", "pickled")


def test_an_unknown_checkpoint_is_missing(engine):
    hooks = Recorder()
    with pytest.raises(EngineError) as caught:
        engine.draw(spec(checkpoint="nowhere"), hooks)
    assert (caught.value.kind, caught.value.detail) == ("missing_model", {"checkpoint": "nowhere"})
    with pytest.raises(EngineError):
        engine.prepare("nowhere")


@pytest.mark.parametrize(
    ("sampler", "schedule"), [("Heun", "Automatic"), ("nonsense", "Automatic"), ("Euler a", "Beta")]
)
def test_what_does_not_draw_yet_is_refused(engine, sampler, schedule):
    with pytest.raises(EngineError) as caught:
        draw(engine, sampler=sampler, schedule=schedule)
    assert caught.value.kind == "bad_input"
    assert caught.value.detail == {"sampler": sampler, "schedule": schedule}
