"""What a training is refused or ended for, each with a sentence that says what to do."""

import contextlib
import gc

import pytest
import torch
from setting import PICTURES, Watcher, picture, ref, spec, subset, train

from gpu_worker.engine.errors import DrawingCancelled, EngineError
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.frames import frame
from gpu_worker.protocol.specs import Train, TrainImage
from gpu_worker.training import saving, trainer
from gpu_worker.training.refusals import out_of_memory
from gpu_worker.training.state import Snapshots
from gpu_worker.training.steps import Steps

pytestmark = pytest.mark.slow


def refused(wanted, folder, watcher=None):
    with pytest.raises(EngineError) as error:
        train(wanted, folder, watcher)
    return error.value


def test_a_loss_that_is_no_number(tmp_path):
    error = refused(spec(unet_lr=10.0, max_grad_norm=0.0, max_train_steps=60, cache_latents=True), tmp_path)
    assert (error.kind, error.detail["reason"]) == ("other", "loss_not_finite")
    assert "Lower unet_lr" in error.message


def test_8_bits_without_a_card(tmp_path):
    error = refused(spec(optimizer_type="AdamW8bit"), tmp_path)
    assert (error.kind, error.detail["reason"]) == ("bad_input", "no_8bit")
    assert "Take AdamW" in error.message


def test_memory_that_does_not_do_names_the_setting(tmp_path, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Steps, "learn", full)
    error = refused(spec(), tmp_path)
    assert (error.kind, error.detail["setting"]) == ("oom", "gradient_checkpointing")
    assert "Set gradient_checkpointing to true" in error.message
    least = spec(gradient_checkpointing=True, mixed_precision="bf16", text_encoder_lr=0.0, rules={"batch_size": 1})
    assert "larger card" in out_of_memory(least).message


def test_a_full_disk_keeps_the_last_state(tmp_path, monkeypatch):
    train(spec(), tmp_path, Watcher(until=1))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Snapshots, "keep", full)
    monkeypatch.setattr(saving, "write_network", full)
    # A state that finds no room is no reason to stop; a file is, and the training goes on later from the state before.
    outcome, watcher = train(spec(), tmp_path, Watcher(until=1))
    assert (outcome, [progress.step for progress in watcher.steps]) == ("paused", [2])
    error = refused(spec(), tmp_path)
    assert (error.kind, error.detail) == ("disk_full", {"reason": "disk_full", "step": 4})
    assert (error.__cause__, error.__context__) == (None, None), "they would keep the training's memory"
    states = [path.name for path in (tmp_path / "state").iterdir() if path.name != "latents.pt"]
    assert states == ["state-00000001.pt"]


def unets():
    return {id(one) for one in gc.get_objects() if type(one).__name__ == "UNet2DConditionModel"}


@pytest.mark.parametrize("then", ["pause", "cancel"])
def test_who_waits_for_the_card_finds_it_empty(tmp_path, then):
    gc.collect()
    others = unets()
    gc.disable()
    try:
        with contextlib.suppress(DrawingCancelled):
            assert train(spec(), tmp_path, Watcher(until=1, then=then))[0] == "paused"
        assert not unets() - others
    finally:
        gc.enable()


def test_a_picture_that_fits_no_bucket(tmp_path):
    pictures = {**PICTURES, "sliver": picture(0, (1200, 20))}
    images = (TrainImage(image=ref("sliver", pictures), caption="a"),)
    wanted = spec(subset([], images=images), rules={"bucket_no_upscale": True})
    error = refused(wanted, tmp_path, Watcher(pictures=pictures))
    assert error.detail["reason"] == "picture_too_narrow"
    assert "Picture 1 of 2_zorb has 1200 x 20 pixels" in error.message


def test_nothing_to_train(tmp_path, monkeypatch):
    monkeypatch.setattr(trainer, "targets_of", lambda *_, **__: ())
    assert refused(spec(), tmp_path).detail["reason"] == "no_part_trains"


def test_bytes_that_are_no_picture(tmp_path):
    error = refused(spec(), tmp_path, Watcher(pictures=dict.fromkeys(PICTURES, b"<html>")))
    assert (error.kind, error.detail["number"], error.detail["folder"]) == ("bad_input", 1, "2_zorb")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": None}, "seed is drawn"),
        ({"network_train_unet_only": True, "network_train_text_encoder_only": True}, "nothing to train"),
        ({"unet_lr": float("nan")}, "unet_lr"),
    ],
)
def test_specs_that_cannot_be(change, words):
    with pytest.raises(ValueError, match=words):
        spec(**change)


CAT = "\N{CAT FACE}"
"""Four bytes."""


def test_names_are_such_as_a_file_can_have():
    with pytest.raises(ValueError, match="output_name"):
        Train.model_validate(spec().model_dump() | {"output_name": CAT * 60})


def test_the_longest_training_goes_into_one_frame():
    image = ref("p0").model_copy(update={"ref": f"input:{'0' * 64}"})
    long = [TrainImage(image=image, caption=CAT * 4000)] * 131
    short = [TrainImage(image=image)] * (2000 - 131)
    wanted = spec(subset([], images=(*long, *short)))
    frame(m.Assign(job="a" * 25, attempt=1, spec=wanted))
    for more in ({"class_tokens": CAT * 4000}, {"rules": {"caption_prefix": CAT * 1000, "caption_suffix": CAT}}):
        with pytest.raises(ValueError, match="captions of more than"):
            spec(subset([], images=(*long, *short), **more))


def test_random_crops_of_cached_latents_cannot_be():
    with pytest.raises(ValueError, match="random_crop"):
        spec(subset(PICTURES, rules={"random_crop": True}))
    with pytest.raises(ValueError, match="no pictures of what"):
        spec(subset(PICTURES, is_reg=True))
