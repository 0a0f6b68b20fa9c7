"""Every kind of network file against its formula, written out in float64 by other means."""

import network_checkpoints
import numpy as np
import pytest
import torch
from networks import CONV, LINEAR, MLP, POINT, dice, kohya, lora, merged, network, saved

FACTOR = 0.7


@pytest.fixture(scope="module")
def checkpoint():
    return network_checkpoints.small("sd1")


def numbers(tensor):
    return tensor.detach().double().numpy()


def change(checkpoint, tmp_path, tensors, module, *, te=1.0, unet=FACTOR, rank=None, name="weight"):
    """(weight before, weight while merged) in float64; afterwards it is what it was."""
    layer = checkpoint.unet.get_submodule(module)
    before = getattr(layer, name).detach().clone()
    merger = merged(checkpoint, network(saved(tmp_path, tensors), te, unet, rank))
    after = getattr(layer, name).detach().clone()
    merger.restore()
    assert torch.equal(getattr(layer, name), before)
    assert not torch.equal(after, before)
    return numbers(before), numbers(after)


def same(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def rows(weight):
    return weight.reshape(len(weight), -1)


@pytest.mark.parametrize("alpha", [None, 1.0, 3.0])
@pytest.mark.parametrize(
    ("module", "shape"),
    [(LINEAR, (8, 24)), (CONV, (16, 8, 3, 3)), (POINT, (8, 8, 1, 1)), (POINT, (8, 8))],
    ids=["linear", "convolution", "1x1", "1x1 as linear"],
)
def test_lora(checkpoint, tmp_path, module, shape, alpha):
    tensors = lora(kohya(module), shape[0], shape[1:], alpha=alpha)
    before, after = change(checkpoint, tmp_path, tensors, module)
    down, up = (numbers(tensors[f"{kohya(module)}.lora_{side}.weight"]) for side in ("down", "up"))
    delta = sum(np.multiply.outer(up.reshape(shape[0], -1)[:, r], down[r].reshape(-1)) for r in range(2))
    same(rows(after), rows(before) + FACTOR * (1 if alpha is None else alpha / 2) * delta)


def test_a_scale_key_wins_over_alpha(checkpoint, tmp_path):
    tensors = lora(kohya(LINEAR), 8, 24, alpha=1.0) | {f"{kohya(LINEAR)}.scale": torch.tensor(0.25)}
    before, after = change(checkpoint, tmp_path, tensors, LINEAR)
    up, down = (
        numbers(tensors[f"{kohya(LINEAR)}.lora_up.weight"]),
        numbers(tensors[f"{kohya(LINEAR)}.lora_down.weight"]),
    )
    same(after, before + FACTOR * 0.25 * np.dot(up, down))


def test_only_the_first_ranks(checkpoint, tmp_path):
    tensors = lora(kohya(LINEAR), 8, 24, rank=4, alpha=2.0)
    before, after = change(checkpoint, tmp_path, tensors, LINEAR, rank=1)
    up, down = (
        numbers(tensors[f"{kohya(LINEAR)}.lora_up.weight"]),
        numbers(tensors[f"{kohya(LINEAR)}.lora_down.weight"]),
    )
    same(after, before + FACTOR * (2 / 4) * np.outer(up[:, 0], down[0]))


def test_tucker_core_of_a_convolution(checkpoint, tmp_path):
    base = kohya(CONV)
    tensors = {
        f"{base}.lora_up.weight": dice(16, 3, 1, 1),
        f"{base}.lora_mid.weight": dice(3, 2, 3, 3),
        f"{base}.lora_down.weight": dice(2, 8, 1, 1),
        f"{base}.alpha": torch.tensor(1.0),
    }
    before, after = change(checkpoint, tmp_path, tensors, CONV)
    up, mid, down = (numbers(tensors[f"{base}.lora_{name}.weight"]) for name in ("up", "mid", "down"))
    delta = np.zeros_like(before)
    for y in range(3):
        for x in range(3):
            delta[:, :, y, x] = up[:, :, 0, 0] @ mid[:, :, y, x] @ down[:, :, 0, 0]
    same(after, before + FACTOR / 2 * delta)


@pytest.mark.parametrize("bias", [False, True])
def test_loha(checkpoint, tmp_path, bias):
    base = kohya(CONV)
    tensors = {
        f"{base}.hada_w1_a": dice(16, 2, seed=1), f"{base}.hada_w1_b": dice(2, 72, seed=2),
        f"{base}.hada_w2_a": dice(16, 2, seed=3), f"{base}.hada_w2_b": dice(2, 72, seed=4),
        f"{base}.alpha": torch.tensor(1.0),
    }  # fmt: skip
    if bias:
        tensors[f"{base}.bias"] = dice(16, 8, 3, 3, seed=5)
    before, after = change(checkpoint, tmp_path, tensors, CONV)
    w1 = np.einsum("or,ri->oi", numbers(tensors[f"{base}.hada_w1_a"]), numbers(tensors[f"{base}.hada_w1_b"]))
    w2 = np.einsum("or,ri->oi", numbers(tensors[f"{base}.hada_w2_a"]), numbers(tensors[f"{base}.hada_w2_b"]))
    delta = w1 * w2 + (rows(numbers(tensors[f"{base}.bias"])) if bias else 0)
    same(rows(after), rows(before) + FACTOR / 2 * delta)


def test_loha_around_cores(checkpoint, tmp_path):
    base = kohya(CONV)
    tensors = {f"{base}.alpha": torch.tensor(2.0)}
    for half in "12":
        tensors |= {
            f"{base}.hada_t{half}": dice(2, 2, 3, 3, seed=int(half)),
            f"{base}.hada_w{half}_a": dice(2, 16, seed=int(half)),
            f"{base}.hada_w{half}_b": dice(2, 8, seed=int(half)),
        }
    before, after = change(checkpoint, tmp_path, tensors, CONV)
    halves = []
    for half in "12":
        t, a, b = (numbers(tensors[f"{base}.hada_{name}"]) for name in (f"t{half}", f"w{half}_a", f"w{half}_b"))
        whole = np.zeros((16, 8, 3, 3))
        for p in range(2):
            for q in range(2):
                whole += np.einsum("hw,o,i->oihw", t[p, q], a[p], b[q])
        halves.append(whole)
    same(after, before + FACTOR * halves[0] * halves[1])


@pytest.mark.parametrize("first", ["whole", "factors"])
@pytest.mark.parametrize("second", ["whole", "factors"])
def test_lokr(checkpoint, tmp_path, first, second):
    base = kohya(LINEAR)
    parts = {"lokr_w1": (2, 4, first), "lokr_w2": (4, 6, second)}
    tensors, whole, rank = {f"{base}.alpha": torch.tensor(1.5)}, [], None
    for name, (out, into, form) in parts.items():
        if form == "whole":
            tensors[f"{base}.{name}"] = dice(out, into)
            whole.append(numbers(tensors[f"{base}.{name}"]))
        else:
            tensors |= {f"{base}.{name}_a": dice(out, 3, seed=9), f"{base}.{name}_b": dice(3, into, seed=9)}
            whole.append(numbers(tensors[f"{base}.{name}_a"]) @ numbers(tensors[f"{base}.{name}_b"]))
            rank = 3
    before, after = change(checkpoint, tmp_path, tensors, LINEAR)
    delta = np.block([[whole[0][i, j] * whole[1] for j in range(4)] for i in range(2)])
    same(after, before + FACTOR * (1.5 / rank if rank else 1) * delta)


@pytest.mark.parametrize("form", ["whole", "core", "written out"])
def test_lokr_of_a_convolution(checkpoint, tmp_path, form):
    base = kohya(CONV)
    tensors = {f"{base}.lokr_w1": dice(4, 2), f"{base}.alpha": torch.tensor(1.0)}
    if form == "whole":
        tensors[f"{base}.lokr_w2"] = dice(4, 4, 3, 3)
        w2, scale = numbers(tensors[f"{base}.lokr_w2"]), 1
    elif form == "core":
        tensors |= {
            f"{base}.lokr_t2": dice(2, 2, 3, 3),
            f"{base}.lokr_w2_a": dice(2, 4),
            f"{base}.lokr_w2_b": dice(2, 4),
        }
        t, a, b = (numbers(tensors[f"{base}.lokr_{name}"]) for name in ("t2", "w2_a", "w2_b"))
        w2, scale = np.einsum("pqyx,po,qi->oiyx", t, a, b), 1 / 2
    else:
        tensors |= {f"{base}.lokr_w2_a": dice(4, 2), f"{base}.lokr_w2_b": dice(2, 36)}
        w2 = (numbers(tensors[f"{base}.lokr_w2_a"]) @ numbers(tensors[f"{base}.lokr_w2_b"])).reshape(4, 4, 3, 3)
        scale = 1 / 2
    before, after = change(checkpoint, tmp_path, tensors, CONV)
    w1 = numbers(tensors[f"{base}.lokr_w1"])
    delta = np.zeros_like(before)
    for i in range(4):
        for j in range(2):
            delta[4 * i : 4 * i + 4, 4 * j : 4 * j + 4] = w1[i, j] * w2
    same(after, before + FACTOR * scale * delta)


@pytest.mark.parametrize(("module", "out", "into"), [(LINEAR, 8, 24), (CONV, 16, 8)])
@pytest.mark.parametrize("on_input", [False, True])
def test_ia3(checkpoint, tmp_path, module, out, into, on_input):
    factor = dice(into if on_input else out)
    shape = (1, -1) + (1, 1) * (module == CONV)  # as LyCORIS saves it
    tensors = {f"{kohya(module)}.weight": factor.reshape(shape), f"{kohya(module)}.on_input": torch.tensor(on_input)}
    before, after = change(checkpoint, tmp_path, tensors, module)
    expected = before.copy()
    for index, value in enumerate(numbers(factor)):
        place = (slice(None), index) if on_input else (index,)
        expected[place] *= 1 + FACTOR * value
    same(after, expected)


def test_whole_difference_with_its_bias(checkpoint, tmp_path):
    tensors = {f"{kohya(CONV)}.diff": dice(16, 8, 3, 3), f"{kohya(CONV)}.diff_b": dice(16)}
    before, after = change(checkpoint, tmp_path, tensors, CONV)
    same(after, before + FACTOR * numbers(tensors[f"{kohya(CONV)}.diff"]))
    before, after = change(checkpoint, tmp_path, tensors, CONV, name="bias")
    same(after, before + FACTOR * numbers(tensors[f"{kohya(CONV)}.diff_b"]))


def test_a_bias_for_a_layer_that_has_none(checkpoint, tmp_path):
    tensors = {f"{kohya(LINEAR)}.diff": dice(8, 24), f"{kohya(LINEAR)}.diff_b": dice(8)}
    layer = checkpoint.unet.get_submodule(LINEAR)
    path = saved(tmp_path, tensors)
    merger = merged(checkpoint, network(path, unet=FACTOR))
    same(numbers(layer.bias), FACTOR * numbers(tensors[f"{kohya(LINEAR)}.diff_b"]))
    merger.apply([network(path, unet=2 * FACTOR)])
    same(numbers(layer.bias), 2 * FACTOR * numbers(tensors[f"{kohya(LINEAR)}.diff_b"]))
    merger.restore()
    assert layer.bias is None


@pytest.mark.parametrize(
    "norm", ["down_blocks.0.resnets.0.norm1", "down_blocks.0.attentions.0.transformer_blocks.0.norm2"]
)
def test_norms(checkpoint, tmp_path, norm):
    tensors = {f"{kohya(norm)}.w_norm": dice(8), f"{kohya(norm)}.b_norm": dice(8, seed=3)}
    for name, key in (("weight", "w_norm"), ("bias", "b_norm")):
        before, after = change(checkpoint, tmp_path, tensors, norm, name=name)
        same(after, before + FACTOR * numbers(tensors[f"{kohya(norm)}.{key}"]))


def test_glora(checkpoint, tmp_path):
    base = kohya(LINEAR)
    tensors = {
        f"{base}.a1.weight": dice(2, 24, seed=1), f"{base}.a2.weight": dice(24, 2, seed=2),
        f"{base}.b1.weight": dice(2, 24, seed=3), f"{base}.b2.weight": dice(8, 2, seed=4),
        f"{base}.alpha": torch.tensor(1.0),
    }  # fmt: skip
    before, after = change(checkpoint, tmp_path, tensors, LINEAR)
    a1, a2, b1, b2 = (numbers(tensors[f"{base}.{name}.weight"]) for name in ("a1", "a2", "b1", "b2"))
    same(after, before + FACTOR / 2 * (before @ (a2 @ a1) + b2 @ b1))


def turns(blocks, limit=None):
    """By solving for each block, not by inverting."""
    skew = blocks - np.swapaxes(blocks, -1, -2)
    norm = np.sqrt((skew**2).sum())
    if limit is not None and norm > limit:
        skew = skew * limit / norm
    one = np.eye(skew.shape[-1])
    return np.swapaxes(np.linalg.solve(np.swapaxes(one - skew, -1, -2), np.swapaxes(one + skew, -1, -2)), -1, -2)


@pytest.mark.parametrize("constraint", [None, 0.0, 0.01])
@pytest.mark.parametrize("module", [LINEAR, CONV])
def test_oft_turns_blocks_of_outputs(checkpoint, tmp_path, module, constraint):
    out = {LINEAR: 8, CONV: 16}[module]
    tensors = {f"{kohya(module)}.oft_blocks": dice(out // 4, 4, 4)}
    if constraint is not None:
        tensors[f"{kohya(module)}.alpha"] = torch.tensor(constraint)
    before, after = change(checkpoint, tmp_path, tensors, module)
    turned = rows(before).copy()
    limit = constraint * out if constraint else None
    for block, turn in enumerate(turns(numbers(tensors[f"{kohya(module)}.oft_blocks"]), limit)):
        place = slice(4 * block, 4 * block + 4)
        turned[place] = turn.T @ rows(before)[place]
    same(rows(after), rows(before) + FACTOR * (turned - rows(before)))


def test_old_oft_holds_the_turns_themselves_and_may_rescale(checkpoint, tmp_path):
    base = kohya(LINEAR)
    tensors = {f"{base}.oft_diag": dice(2, 4, 4), f"{base}.rescale": dice(8, 1), f"{base}.alpha": torch.tensor(0.01)}
    before, after = change(checkpoint, tmp_path, tensors, LINEAR)
    blocks = numbers(tensors[f"{base}.oft_diag"])
    turned = np.concatenate([blocks[0].T @ before[:4], blocks[1].T @ before[4:]])
    turned *= numbers(tensors[f"{base}.rescale"])
    same(after, before + FACTOR * (turned - before))


@pytest.mark.parametrize("module", [LINEAR, CONV])
def test_boft_is_a_product_of_butterflies(checkpoint, tmp_path, module):
    out, size = {LINEAR: 8, CONV: 16}[module], 4
    tensors = {f"{kohya(module)}.oft_blocks": dice(2, out // size, size, size, size=0.3)}
    before, after = change(checkpoint, tmp_path, tensors, module)
    whole = np.eye(out)
    for stage, blocks in enumerate(turns(numbers(tensors[f"{kohya(module)}.oft_blocks"]))):
        far = size // 2 * 2**stage
        # Where each output goes: it lies at (group, half, place) and is sorted by (group, place, half).
        order = [
            group * 2 * far + half * far + place
            for group in range(out // (2 * far))
            for place in range(far)
            for half in range(2)
        ]
        shuffle = np.eye(out)[order]
        diagonal = np.zeros((out, out))
        for block, turn in enumerate(blocks):
            place = slice(size * block, size * block + size)
            diagonal[place, place] = turn
        whole = shuffle.T @ diagonal @ shuffle @ whole
    same(rows(after), rows(before) + FACTOR * (whole @ rows(before) - rows(before)))


@pytest.mark.parametrize("axis", ["out", "in", "peft"])
@pytest.mark.parametrize(("module", "shape"), [(LINEAR, (8, 24)), (CONV, (16, 8, 3, 3))])
def test_dora(checkpoint, tmp_path, module, shape, axis):
    base = kohya(module)
    tensors = lora(base, shape[0], shape[1:], alpha=1.0)
    length = dice(shape[1 if axis == "in" else 0]).abs()
    ones = (1,) * (len(shape) - 2)
    spelt = {"out": (-1, 1, *ones), "in": (1, -1, *ones), "peft": (-1,)}[axis]
    key = "lora_magnitude_vector" if axis == "peft" else "dora_scale"
    tensors[f"{base}.{key}"] = length.reshape(spelt)
    before, after = change(checkpoint, tmp_path, tensors, module)
    down, up = (numbers(tensors[f"{base}.lora_{side}.weight"]) for side in ("down", "up"))
    direction = before + 0.5 * np.tensordot(up.reshape(shape[0], -1), down, axes=1)
    learnt = direction.copy()
    for index, value in enumerate(numbers(length)):
        place = (slice(None), index) if axis == "in" else (index,)
        learnt[place] *= value / np.linalg.norm(direction[place])
    same(after, before + FACTOR * (learnt - before))


def test_dora_over_loha(checkpoint, tmp_path):
    base = kohya(LINEAR)
    tensors = {f"{base}.hada_w{h}_a": dice(8, 2, seed=h) for h in (1, 2)} | {
        f"{base}.hada_w{h}_b": dice(2, 24, seed=h) for h in (1, 2)
    }
    tensors[f"{base}.dora_scale"] = dice(8, 1).abs()
    before, after = change(checkpoint, tmp_path, tensors, LINEAR)
    halves = [numbers(tensors[f"{base}.hada_w{h}_a"]) @ numbers(tensors[f"{base}.hada_w{h}_b"]) for h in (1, 2)]
    direction = before + halves[0] * halves[1]
    lengths = np.sqrt((direction**2).sum(1, keepdims=True))
    same(after, before + FACTOR * (direction / lengths * numbers(tensors[f"{base}.dora_scale"]) - before))


def test_text_and_unet_have_weights_of_their_own(checkpoint, tmp_path):
    text = checkpoint.text_encoders[0].model.get_submodule(MLP)
    linear = checkpoint.unet.get_submodule(LINEAR)
    before = [numbers(text.weight).copy(), numbers(linear.weight).copy()]
    key = "lora_te_text_model_" + MLP.replace(".", "_")
    tensors = lora(key, 96, 24) | lora(kohya(LINEAR), 8, 24)
    merger = merged(checkpoint, network(saved(tmp_path, tensors), te=0.25, unet=-0.5))
    deltas = [
        numbers(tensors[f"{base}.lora_up.weight"]) @ numbers(tensors[f"{base}.lora_down.weight"])
        for base in (key, kohya(LINEAR))
    ]
    same(numbers(text.weight), before[0] + 0.25 * deltas[0])
    same(numbers(linear.weight), before[1] - 0.5 * deltas[1])
    merger.restore()


@pytest.mark.parametrize("channels", [8, 9])
def test_a_lora_for_four_channels_on_an_inpainting_checkpoint(tmp_path, channels):
    checkpoint = network_checkpoints.small("sd1", in_channels=channels)
    base = kohya("conv_in")
    tensors = lora(base, 8, (4, 3, 3))
    before, after = change(checkpoint, tmp_path, tensors, "conv_in")
    up, down = numbers(tensors[f"{base}.lora_up.weight"]), numbers(tensors[f"{base}.lora_down.weight"])
    same(after[:, :4], before[:, :4] + FACTOR * np.tensordot(up[:, :, 0, 0], down, axes=1))
    assert (after[:, 4:] == before[:, 4:]).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_rounded_once(tmp_path, dtype):
    checkpoint = network_checkpoints.small("sd1", dtype=dtype)
    layer = checkpoint.unet.get_submodule(LINEAR)
    before = layer.weight.double()
    one, two = lora(kohya(LINEAR), 8, 24, seed=1), lora(kohya(LINEAR), 8, 24, seed=2)
    nets = [network(saved(tmp_path, tensors, name)) for tensors, name in ((one, "one"), (two, "two"))]
    merger = merged(checkpoint, *nets)
    for tensors in (one, two):
        down, up = (tensors[f"{kohya(LINEAR)}.lora_{side}.weight"].double() for side in ("down", "up"))
        before = before + up @ down
    # A float32 sum may fall on the other side of a tie, and never more than that.
    near = (layer.weight == before.to(dtype)).double().mean()
    assert near > 0.98
    assert layer.weight.dtype == dtype
    merger.restore()
