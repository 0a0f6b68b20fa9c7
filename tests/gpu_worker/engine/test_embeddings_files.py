"""Textual inversions in every format that is in the wild, and files that are none."""

import base64
import hashlib
import json
import pickle
import zlib

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from safetensors.torch import save_file

from gpu_worker.engine.adapters import embedding_picture
from gpu_worker.engine.adapters.embedding_file import ANY, read_bundled, read_embedding
from gpu_worker.engine.errors import EngineError

VECTORS = torch.arange(6, dtype=torch.float32).reshape(2, 3) / 7 + 0.1
WIDER = torch.arange(10, dtype=torch.float32).reshape(2, 5) / 9 + 0.1


def parameter_dict():
    return torch.nn.ParameterDict({"*": torch.nn.Parameter(VECTORS.clone())})


SINGLE = {
    "webui": {
        "string_to_token": {"*": 265},
        "string_to_param": {"*": VECTORS},
        "name": "another",
        "step": 100,
        "sd_checkpoint": "abc",
        "sd_checkpoint_name": None,
    },
    "learnt": {"string_to_param": {"*": VECTORS.clone().requires_grad_()}, "name": "x"},
    "parameter": {"string_to_param": {"*": torch.nn.Parameter(VECTORS.clone())}},
    "parameter dict": {"string_to_param": parameter_dict()},
    "concept": {"<word>": VECTORS},
}


@pytest.mark.parametrize("suffix", [".pt", ".bin"])
@pytest.mark.parametrize("form", SINGLE)
def test_pickles(tmp_path, form, suffix):
    path = tmp_path / f"Word{suffix}"
    torch.save(SINGLE[form], path)
    found = read_embedding("Word", path)
    assert (found.name, found.length, list(found.vectors)) == ("Word", 2, [ANY])
    assert torch.equal(found.vectors[ANY], VECTORS)
    assert not found.vectors[ANY].requires_grad
    assert found.digest == hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def test_the_old_format_of_torch(tmp_path):
    path = tmp_path / "old.pt"
    torch.save(SINGLE["webui"], path, _use_new_zipfile_serialization=False)
    assert torch.equal(read_embedding("old", path).vectors[ANY], VECTORS)


def test_one_vector_without_its_first_dimension(tmp_path):
    path = tmp_path / "one.bin"
    torch.save({"<word>": VECTORS[0]}, path)
    assert torch.equal(read_embedding("one", path).vectors[ANY], VECTORS[:1])


@pytest.mark.parametrize("key", ["emb_params", "<word>", "string_to_param.*"])
def test_safetensors(tmp_path, key):
    path = tmp_path / "word.safetensors"
    save_file({key: VECTORS.half()}, path)
    found = read_embedding("word", path)
    assert torch.equal(found.vectors[ANY], VECTORS.half().float())
    assert found.digest == hashlib.sha256(path.read_bytes()).hexdigest()[:12]


@pytest.mark.parametrize("names", [("clip_l", "clip_g"), ("text_encoders_0", "text_encoders_1")])
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_both_text_models_of_sdxl(tmp_path, names, suffix):
    path = tmp_path / f"word{suffix}"
    tensors = {names[0]: VECTORS, names[1]: WIDER}
    save_file(tensors, path) if suffix == ".safetensors" else torch.save(tensors, path)
    found = read_embedding("word", path)
    assert torch.equal(found.vectors["clip_l"], VECTORS)
    assert torch.equal(found.vectors["clip_g"], WIDER)


def json_of(name="inside"):
    tensor = {"TORCHTENSOR": VECTORS.tolist()}
    return json.dumps({"string_to_param": {"*": tensor}, "name": name, "step": 3}).encode()


def test_a_pngs_text_names_its_own_embedding(tmp_path):
    info = PngInfo()
    info.add_text("sd-ti-embedding", base64.b64encode(json_of()).decode())
    Image.new("RGB", (16, 16), "white").save(tmp_path / "card.png", pnginfo=info)
    found = read_embedding("card", tmp_path / "card.png")
    assert found.name == "inside"
    torch.testing.assert_close(found.vectors[ANY], VECTORS)


def masked(block):
    """One value after another, as the format is told."""
    state, flat = 0, block.flatten()
    for index in range(flat.size):
        state = (1664525 * state + 1013904223) % 2**32
        flat[index] ^= (state % 255) & 0x0F
    return flat.reshape(block.shape)


def with_hidden(data, height=64):
    """A picture between its two masked halves, each parted from it by a black line."""
    packed = np.frombuffer(zlib.compress(data, 9), np.uint8)
    size = -(-packed.size // (height * 3)) * height * 3
    packed = np.resize(packed, size).reshape(height, -1, 3)
    picture = np.random.default_rng(0).integers(40, 255, (height, 20, 3), dtype=np.uint8) | 1
    black = np.zeros((height, 1, 3), np.uint8)
    low, high = masked(packed & 0x0F), masked(packed >> 4)
    return Image.fromarray(np.concatenate([low | 0x50, black, picture, black, high | 0x50], axis=1))


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_an_embedding_in_the_low_bits_of_a_picture(tmp_path, suffix):
    path = tmp_path / f"card{suffix}"
    with_hidden(json_of()).save(path, **({"lossless": True} if suffix == ".webp" else {}))
    found = read_embedding("card", path)
    assert found.name == "inside"
    torch.testing.assert_close(found.vectors[ANY], VECTORS)


def problem(path):
    with pytest.raises(EngineError) as caught:
        read_embedding("word", path)
    assert (caught.value.kind, caught.value.detail["embedding"]) == ("bad_model", "word")
    return caught.value.detail["problem"]


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was executed",))


@pytest.mark.parametrize("suffix", [".pt", ".bin"])
def test_pickles_that_do_something_are_refused_unexecuted(tmp_path, suffix):
    path = tmp_path / f"evil{suffix}"
    torch.save({"string_to_param": {"*": VECTORS}, "name": Bomb()}, path)
    assert problem(path) == "unsafe"
    path.write_bytes(pickle.dumps(Bomb(), 2))
    assert problem(path) in {"unsafe", "corrupt"}


BROKEN = {
    "two": {"string_to_param": {"*": VECTORS, "+": VECTORS}},
    "nothing": {},
    "no tensor": {"<word>": 5},
    "a checkpoint": {"a": VECTORS, "b": VECTORS},
    "a kernel": {"<word>": torch.zeros(1, 2, 3)},
    "whole numbers": {"<word>": torch.zeros(2, 3, dtype=torch.int64)},
    "no vectors": {"<word>": torch.zeros(0, 3)},
    "half a pair": {"clip_l": VECTORS, "clip_g": 3},
    "unequal": {"clip_l": VECTORS, "clip_g": WIDER[:1]},
    "a list": [VECTORS],
}


@pytest.mark.parametrize("form", BROKEN)
def test_other_contents(tmp_path, form):
    path = tmp_path / "word.pt"
    torch.save(BROKEN[form], path)
    assert problem(path) == "unknown_layout"


def test_damaged_files(tmp_path):
    save_file({"emb_params": VECTORS}, tmp_path / "whole.safetensors")
    whole = (tmp_path / "whole.safetensors").read_bytes()
    for name, content in (
        ("a.safetensors", whole[:-3]),
        ("b.safetensors", b""),
        ("c.pt", b"<html>"),
        ("d.png", b"\x89PNG\r\n\x1a\n"),
        ("e.webp", b"RIFF"),
    ):
        (tmp_path / name).write_bytes(content)
        assert problem(tmp_path / name) == "corrupt"
    assert problem(tmp_path / "nowhere.pt") == "corrupt"
    save_file({"emb_params": VECTORS * float("nan")}, tmp_path / "nan.safetensors")
    assert problem(tmp_path / "nan.safetensors") == "corrupt"
    (tmp_path / "notes.txt").write_text("hello")
    assert problem(tmp_path / "notes.txt") == "unknown_layout"
    Image.new("RGB", (16, 16), "red").save(tmp_path / "plain.png")
    assert problem(tmp_path / "plain.png") == "unknown_layout"


@pytest.mark.parametrize(
    "text",
    [
        "%%%",
        base64.b64encode(b"[1, 2]").decode(),
        base64.b64encode(b"[" * 100_000).decode(),
        base64.b64encode(b'{"string_to_param": {"*": {"TORCHTENSOR": [[1, 2], [3]]}}}').decode(),
        base64.b64encode(b'{"string_to_param": {"*": {"TORCHTENSOR": "x"}}}').decode(),
        base64.b64encode(b'{"string_to_param": {"*": 3}}').decode(),
    ],
)
def test_a_pngs_text_may_be_anything(tmp_path, text):
    info = PngInfo()
    info.add_text("sd-ti-embedding", text)
    Image.new("RGB", (16, 16), "white").save(tmp_path / "card.png", pnginfo=info)
    assert problem(tmp_path / "card.png") in {"corrupt", "unknown_layout"}


def test_pixels_may_inflate_to_anything(tmp_path):
    with_hidden(b"[" * 5_000_000).save(tmp_path / "card.png")
    assert problem(tmp_path / "card.png") == "corrupt"


def test_pixels_inflate_to_so_much_and_no_more(tmp_path, monkeypatch):
    with_hidden(json_of()).save(tmp_path / "card.png")
    monkeypatch.setattr(embedding_picture, "LIMIT_JSON_BYTES", 50)
    assert problem(tmp_path / "card.png") == "corrupt"


def test_too_large_a_file_is_not_read(tmp_path):
    path = tmp_path / "word.pt"
    with path.open("wb") as file:
        file.truncate((64 << 20) + 1)
    assert problem(path) == "unknown_layout"


def test_embeddings_in_a_loras_file(tmp_path):
    path = tmp_path / "style.safetensors"
    tensors = {
        "bundle_emb.one.string_to_param.*": VECTORS,
        "bundle_emb.two.clip_l": VECTORS.clone(),
        "bundle_emb.two.clip_g": WIDER,
        "bundle_emb.broken.clip_l": VECTORS.int(),
        "lora_unet_conv_in.lora_up.weight": torch.zeros(3),
    }
    save_file(tensors, path)
    one, two = read_bundled("style", path)
    assert (one.name, two.name, one.digest) == ("one", "two", "")
    assert torch.equal(one.vectors[ANY], VECTORS)
    assert torch.equal(two.vectors["clip_g"], WIDER)
