"""Merging leaves no trace, switches without rest, and touches nothing for a file that does not fit."""

import dataclasses
import pickle

import network_checkpoints
import pytest
import torch
from networks import CONV, LINEAR, MLP, dice, kohya, lora, merged, network, saved
from safetensors.torch import save_file

from gpu_worker.engine.adapters.merge import NetworkMerger, merged_networks
from gpu_worker.engine.adapters.network_file import read_network
from gpu_worker.engine.adapters.network_part import NetworkPart
from gpu_worker.engine.adapters.slots import Slot
from gpu_worker.engine.device import Device
from gpu_worker.engine.errors import EngineError

TEXT = "lora_te_text_model_" + MLP.replace(".", "_")


@pytest.fixture(scope="module", params=[torch.float32, torch.float16])
def checkpoint(request):
    return network_checkpoints.small("sd1", dtype=request.param)


@pytest.fixture
def nets(tmp_path):
    """`one` and `two` share a module; each has one of its own."""
    one = lora(TEXT, 96, 24, seed=1) | lora(kohya(LINEAR), 8, 24, seed=2) | {f"{kohya(LINEAR)}.dora_scale": dice(8, 1)}
    two = lora(kohya(LINEAR), 8, 24, seed=3) | {
        f"{kohya(CONV)}.diff": dice(16, 8, 3, 3),
        f"{kohya(CONV)}.diff_b": dice(16),
    }
    return {name: saved(tmp_path, tensors, name) for name, tensors in (("one", one), ("two", two))}


def state(checkpoint):
    """The parameters themselves, where their data lies, and copies of it."""
    modules = (checkpoint.unet, *(encoder.model for encoder in checkpoint.text_encoders))
    tensors = [tensor for module in modules for tensor in module.parameters()]
    return [(tensor, tensor.data_ptr(), tensor.clone()) for tensor in tensors]


def untouched(before, checkpoint):
    return all(
        now is tensor and now.data_ptr() == place and torch.equal(now, copy) and not now.is_inference()
        for (tensor, place, copy), (now, _, _) in zip(before, state(checkpoint), strict=True)
    )


def values(checkpoint):
    return [copy for _, _, copy in state(checkpoint)]


def equal(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_from_one_to_another_to_none(checkpoint, nets):
    before = state(checkpoint)
    alone = {}
    for name, path in nets.items():
        with merged_networks(checkpoint, [network(path)]):
            alone[name] = values(checkpoint)
            assert not untouched(before, checkpoint)
        assert untouched(before, checkpoint)
    assert not equal(alone["one"], alone["two"])
    merger = NetworkMerger(checkpoint)
    for name in ("one", "two", "one", "one"):
        merger.apply([network(nets[name])])
        assert equal(values(checkpoint), alone[name])
    merger.apply([])
    assert untouched(before, checkpoint)
    merger.restore()
    assert untouched(before, checkpoint)


def test_inside_inference_mode_too(checkpoint, nets):
    before = state(checkpoint)
    with torch.inference_mode():
        merger = merged(checkpoint, network(nets["one"]))
    assert not any(parameter.data.is_inference() for parameter in checkpoint.unet.parameters())
    merger.apply([network(nets["two"])])
    with torch.inference_mode():
        merger.apply([network(nets["one"]), network(nets["two"])])
        merger.restore()
    assert untouched(before, checkpoint)


def test_several_add_up_in_order_and_one_twice_is_added_twice(tmp_path):
    checkpoint = network_checkpoints.small("sd1")
    layer = checkpoint.unet.get_submodule(LINEAR)
    start = layer.weight.clone()
    paths = [saved(tmp_path, lora(kohya(LINEAR), 8, 24, seed=seed), f"n{seed}") for seed in (1, 2)]
    deltas = []
    for path in paths:
        with merged_networks(checkpoint, [network(path)]):
            deltas.append(layer.weight - start)
    with merged_networks(checkpoint, [network(paths[0], unet=0.5), network(paths[1], unet=-2.0)]):
        torch.testing.assert_close(layer.weight, start + 0.5 * deltas[0] - 2 * deltas[1], rtol=1e-4, atol=1e-5)
    with merged_networks(checkpoint, [network(paths[0], unet=0.5)] * 2):
        torch.testing.assert_close(layer.weight, start + deltas[0], rtol=1e-4, atol=1e-5)


def test_only_what_differs_is_touched(nets):
    checkpoint = network_checkpoints.small("sd1")
    merger = merged(checkpoint, network(nets["one"], te=1.0, unet=1.0))
    places = {tensor.data_ptr() for tensor in checkpoint.unet.parameters()}
    text = checkpoint.text_encoders[0].model.get_submodule(MLP).weight
    written = text.clone()
    seen = []
    original = NetworkPart.merge_into

    def watched(part, total, factor, ranks):
        seen.append(part.key)
        original(part, total, factor, ranks)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NetworkPart, "merge_into", watched)
        merger.apply([network(nets["one"], te=0.5, unet=1.0)])
        assert seen == [TEXT]
        merger.apply([network(nets["one"], te=0.5, unet=1.0)])
        assert seen == [TEXT]
        merger.apply([network(nets["one"], te=0.5, unet=0.0)])
        assert seen == [TEXT]
    assert not torch.equal(text, written)
    assert {tensor.data_ptr() for tensor in checkpoint.unet.parameters()} != places
    merger.restore()


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_a_failure_in_the_middle_leaves_nothing_behind(checkpoint, nets, failing, monkeypatch):
    before = state(checkpoint)
    merger = merged(checkpoint, network(nets["one"], te=0.3))
    original, calls = NetworkPart.merge_into, []

    def tired(part, total, factor, ranks):
        calls.append(part)
        if len(calls) > failing:
            total.fill_(float("nan"))
            raise torch.OutOfMemoryError("CUDA out of memory")
        original(part, total, factor, ranks)

    monkeypatch.setattr(NetworkPart, "merge_into", tired)
    with pytest.raises(torch.OutOfMemoryError):
        merger.apply([network(nets["one"]), network(nets["two"])])
    assert untouched(before, checkpoint)
    monkeypatch.undo()
    merger.apply([network(nets["two"])])
    assert not untouched(before, checkpoint)
    merger.restore()
    assert untouched(before, checkpoint)


def test_no_trace_after_a_failing_drawing(checkpoint, nets):
    before = state(checkpoint)
    with pytest.raises(ZeroDivisionError), merged_networks(checkpoint, [network(nets["one"])]):
        raise ZeroDivisionError
    assert untouched(before, checkpoint)


def test_weights_that_moved_meanwhile_come_back_where_they_are(nets):
    checkpoint = network_checkpoints.small("sd1")
    layer = checkpoint.unet.get_submodule(LINEAR)
    start = layer.weight.clone()
    merger = merged(checkpoint, network(nets["one"]))
    layer.weight.data = layer.weight.data.clone()  # what moving to a card and back does
    merger.apply([network(nets["two"])])
    merger.restore()
    assert torch.equal(layer.weight, start)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("keep", [True, False])
def test_a_slot_with_and_without_room_for_both(dtype, keep):
    layer = torch.nn.Linear(5, 3).to(dtype)
    start, place, parameter = layer.weight.data.clone(), layer.weight.data_ptr(), layer.weight
    slot = Slot(layer, "weight")
    with torch.no_grad():
        for factor in (2.0, 3.0):
            total = slot.begin(torch.device("cpu"), keep)
            assert torch.equal(total, start.float())
            slot.finish(total.mul_(factor))
            torch.testing.assert_close(layer.weight.data, start * factor)
            assert (layer.weight.data_ptr() == place) != keep
        slot.restore()
    assert layer.weight is parameter
    assert torch.equal(layer.weight, start)
    assert not keep or layer.weight.data_ptr() == place


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("room", [True, False])
@pytest.mark.parametrize("meanwhile", ["cuda", "cpu"])
def test_on_a_card_with_and_without_room_for_both(nets, monkeypatch, room, meanwhile):
    from gpu_worker.engine.adapters import merge

    monkeypatch.setattr(merge, "roomy", lambda _: room)
    checkpoint = dataclasses.replace(
        network_checkpoints.small("sd1", dtype=torch.float16), device=Device(torch.device("cuda"), torch.float16)
    )
    modules = (checkpoint.unet, checkpoint.text_encoders[0].model)
    for module in modules:
        module.to("cuda")
    before = values(checkpoint)
    merger = merged(checkpoint, network(nets["one"]))
    for module in modules:
        module.to(meanwhile)
    merger.apply([network(nets["two"])])
    assert not equal(before, [value.cuda() for value in values(checkpoint)])
    merger.restore()
    assert equal(before, [value.cuda() for value in values(checkpoint)])


def test_channels_last_stays(tmp_path):
    checkpoint = network_checkpoints.small("sd1")
    checkpoint.unet.to(memory_format=torch.channels_last)
    layer = checkpoint.unet.get_submodule(CONV)
    start, strides = layer.weight.clone(), layer.weight.stride()
    tensors = lora(kohya(CONV), 16, (8, 3, 3))
    with merged_networks(checkpoint, [network(saved(tmp_path, tensors))]):
        delta = torch.einsum(
            "or,rihw->oihw",
            tensors[f"{kohya(CONV)}.lora_up.weight"][..., 0, 0],
            tensors[f"{kohya(CONV)}.lora_down.weight"],
        )
        torch.testing.assert_close(layer.weight, start + delta, rtol=1e-4, atol=1e-5)
        assert layer.weight.stride() == strides
    assert torch.equal(layer.weight, start)


MISFITS = {
    "wider": lora(kohya(LINEAR), 9, 24),
    "sdxl": lora(kohya(LINEAR), 8, 2048),
    "kernel": lora(kohya(CONV), 16, (8, 5, 5)),
    "ranks": {f"{kohya(LINEAR)}.lora_down.weight": dice(2, 24), f"{kohya(LINEAR)}.lora_up.weight": dice(8, 3)},
    "flat": {f"{kohya(LINEAR)}.lora_down.weight": dice(24), f"{kohya(LINEAR)}.lora_up.weight": dice(8)},
    "mid": lora(kohya(CONV), 16, (8, 1, 1)) | {f"{kohya(CONV)}.lora_mid.weight": dice(2, 3, 3, 3)},
    "loha": {
        f"{kohya(LINEAR)}.hada_{n}": dice(*s)
        for n, s in (("w1_a", (8, 2)), ("w1_b", (2, 24)), ("w2_a", (8, 2)), ("w2_b", (3, 24)))
    },
    "lokr": {f"{kohya(LINEAR)}.lokr_w1": dice(3, 4), f"{kohya(LINEAR)}.lokr_w2": dice(4, 6)},
    "huge lokr": {f"{kohya(LINEAR)}.lokr_w1": dice(2000, 2000), f"{kohya(LINEAR)}.lokr_w2": dice(2000, 2000)},
    "ia3": {f"{kohya(LINEAR)}.weight": dice(7), f"{kohya(LINEAR)}.on_input": torch.tensor(True)},
    "diff": {f"{kohya(LINEAR)}.diff": dice(24, 8)},
    "bias": {f"{kohya(CONV)}.diff": dice(16, 8, 3, 3), f"{kohya(CONV)}.diff_b": dice(15)},
    "glora": {
        f"{kohya(LINEAR)}.{n}.weight": dice(*s)
        for n, s in (("a1", (2, 24)), ("a2", (23, 2)), ("b1", (2, 24)), ("b2", (8, 2)))
    },
    "oft": {f"{kohya(LINEAR)}.oft_blocks": dice(3, 4, 4)},
    "boft": {f"{kohya(LINEAR)}.oft_blocks": dice(5, 2, 4, 4)},
    "dora": lora(kohya(LINEAR), 8, 24) | {f"{kohya(LINEAR)}.dora_scale": dice(5, 1)},
    "addend": {f"{kohya(LINEAR)}.diff": dice(8, 24), f"{kohya(LINEAR)}.bias": dice(8, 23)},
    "elsewhere": lora("lora_unet_elsewhere", 8, 24),
}


@pytest.mark.parametrize("which", MISFITS)
def test_a_misfit_is_refused_before_anything_is_touched(checkpoint, nets, tmp_path, which):
    before = state(checkpoint)
    misfit = network(saved(tmp_path, MISFITS[which], "misfit"))
    merger = NetworkMerger(checkpoint)
    with pytest.raises(EngineError) as caught:
        merger.apply([network(nets["one"]), misfit])
    assert caught.value.kind == "bad_input"
    assert caught.value.detail == {"lora": "misfit", "checkpoint": "small-sd1", "reason": "lora_misfit"}
    assert untouched(before, checkpoint)
    merger.apply([network(nets["one"])])
    merged_now = values(checkpoint)
    with pytest.raises(EngineError):
        merger.apply([network(nets["two"]), misfit])
    assert equal(values(checkpoint), merged_now)
    merger.restore()
    assert untouched(before, checkpoint)


def problem(path):
    with pytest.raises(EngineError) as caught:
        read_network("net", path)
    assert (caught.value.kind, caught.value.detail["lora"]) == ("bad_model", "net")
    return caught.value.detail["problem"]


def test_damaged_and_foreign_files(tmp_path):
    path = saved(tmp_path, lora(kohya(LINEAR), 8, 24))
    whole = path.read_bytes()
    for name, content in (("html", b"<html>"), ("cut", whole[:-5]), ("short", whole[:3]), ("empty", b"")):
        damaged = tmp_path / f"{name}.safetensors"
        damaged.write_bytes(content)
        assert problem(damaged) == "corrupt"
    assert problem(tmp_path / "nowhere.safetensors") == "corrupt"
    foreign = tmp_path / "foreign.safetensors"
    save_file({"model.diffusion_model.out.2.weight": dice(4, 8), "x.lora_up.weight": dice(2, 2)}, foreign)
    assert problem(foreign) == "unknown_layout"


@pytest.mark.parametrize(
    "tensors",
    [
        lora(kohya(LINEAR), 8, 24) | {f"{kohya(LINEAR)}.alpha": torch.tensor(float("nan"))},
        lora(kohya(LINEAR), 8, 24) | {f"{kohya(LINEAR)}.alpha": torch.ones(3)},
        {
            f"{kohya(LINEAR)}.lora_down.weight": torch.ones(2, 24, dtype=torch.int32),
            f"{kohya(LINEAR)}.lora_up.weight": dice(8, 2),
        },
        {f"{kohya(LINEAR)}.weight": dice(8), f"{kohya(LINEAR)}.on_input": torch.ones(2)},
    ],
)
def test_tensors_that_no_trainer_writes(tmp_path, tensors):
    assert problem(saved(tmp_path, tensors)) == "corrupt"


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was executed",))


@pytest.mark.parametrize("suffix", [".pt", ".ckpt"])
def test_pickles_are_read_without_executing_them(tmp_path, suffix):
    tensors = lora(kohya(LINEAR), 8, 24, alpha=1.0)
    checkpoint = network_checkpoints.small("sd1")
    layer = checkpoint.unet.get_submodule(LINEAR)
    with merged_networks(checkpoint, [network(saved(tmp_path, tensors))]):
        expected = layer.weight.clone()
    for content in (tensors, {"state_dict": tensors, "step": 7}):
        path = tmp_path / f"net{suffix}"
        torch.save(content, path)
        with merged_networks(checkpoint, [network(path)]):
            assert torch.equal(layer.weight, expected)
    evil = tmp_path / f"evil{suffix}"
    torch.save({**tensors, "x": Bomb()}, evil)
    assert problem(evil) == "unsafe"
    evil.write_bytes(pickle.dumps({"x": Bomb()}, 2))
    assert problem(evil) in {"unsafe", "corrupt"}


def test_a_file_of_embeddings_alone_changes_no_weight(tmp_path):
    checkpoint = network_checkpoints.small("sd1")
    before = state(checkpoint)
    path = saved(tmp_path, {"bundle_emb.word.string_to_param.*": dice(2, 24)})
    merger = merged(checkpoint, network(path))
    assert untouched(before, checkpoint)
    merger.restore()
