"""Pickles written as safetensors: every number as torch reads it, and nothing executed on the way."""

import pickle
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from gpu_worker.language.headers import HeaderError, read_header
from gpu_worker.language.rewrite import rewrite

TENSORS = {
    "a.weight": torch.arange(24, dtype=torch.float32).reshape(2, 3, 4),
    "a.transposed": torch.arange(12, dtype=torch.float16).reshape(3, 4).T,
    "a.part": torch.arange(100, dtype=torch.float64)[10:50:4],
    "a.inner": torch.arange(60, dtype=torch.bfloat16).reshape(3, 4, 5)[:, 1:3, ::2],
    "number": torch.tensor(7),
    "nothing": torch.zeros(0, 3),
    "flags": torch.tensor([True, False, True]),
    "bytes": torch.arange(5, dtype=torch.uint8),
    "short": torch.arange(5, dtype=torch.int16),
}


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("wrapper", [None, "state_dict", "params_ema"])
def test_every_number_is_the_same(tmp_path, zipped, wrapper):
    content = dict(TENSORS) if wrapper is None else {wrapper: dict(TENSORS), "epoch": 3}
    torch.save(content, tmp_path / "x.pth", _use_new_zipfile_serialization=zipped)
    rewrite(tmp_path / "x.pth", tmp_path / "x.safetensors")
    read_header(tmp_path / "x.safetensors")
    loaded = load_file(tmp_path / "x.safetensors")
    assert loaded.keys() == TENSORS.keys()
    for key, tensor in TENSORS.items():
        assert (loaded[key].dtype, loaded[key].shape) == (tensor.dtype, tensor.shape), key
        assert torch.equal(loaded[key], tensor), key
    first = (tmp_path / "x.safetensors").read_bytes()
    rewrite(tmp_path / "x.pth", tmp_path / "x.safetensors")
    assert (tmp_path / "x.safetensors").read_bytes() == first


def test_an_embedding_gets_the_name_that_is_read(tmp_path):
    torch.save({"string_to_param": {"*": torch.ones(2, 768)}, "name": "style"}, tmp_path / "x.pt")
    rewrite(tmp_path / "x.pt", tmp_path / "x.safetensors")
    assert load_file(tmp_path / "x.safetensors").keys() == {"emb_params"}


class Bomb:
    def __reduce__(self):
        import os

        return os.system, ("touch /tmp/pincel-was-here",)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (pickle.dumps(Bomb()), "unsafe"),
        (b"PK\x03\x04 and no more", "corrupt"),
        (b"", "corrupt"),
        (pickle.dumps({"a": 1}), "corrupt"),
    ],
)
def test_what_is_no_file_of_tensors_leaves_nothing(tmp_path, content, problem):
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(HeaderError, match=problem):
        rewrite(tmp_path / "x.pt", tmp_path / "x.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["x.pt"]


def test_one_memory_under_many_names_is_bounded(tmp_path):
    shared = torch.zeros(100_000)
    torch.save({f"k{n}": shared for n in range(40)}, tmp_path / "x.pt")
    with pytest.raises(HeaderError, match="corrupt"):
        rewrite(tmp_path / "x.pt", tmp_path / "x.safetensors")


def test_as_a_process(tmp_path):
    torch.save({"state_dict": {"a": torch.ones(3)}}, tmp_path / "x.pt")
    (tmp_path / "y.pt").write_bytes(pickle.dumps(Bomb()))
    command = [sys.executable, "-m", "gpu_worker.language.rewrite"]
    good = subprocess.run([*command, tmp_path / "x.pt", tmp_path / "x.safetensors"], check=False, timeout=60)
    assert good.returncode == 0
    assert load_file(tmp_path / "x.safetensors").keys() == {"a"}
    bad = subprocess.run([*command, tmp_path / "y.pt", tmp_path / "y.safetensors"], check=False, capture_output=True)
    assert (bad.returncode, bad.stdout.strip()) == (1, b"unsafe")
