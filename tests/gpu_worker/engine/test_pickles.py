"""Files of torch.save: what is in them is found, and nothing in them ever runs."""

import contextlib
import io
import os
import pickle
import struct
import sys
import types
import zipfile
from collections import OrderedDict

import pytest
import torch

from gpu_worker.engine.checkpoints.pickles import load_pickle
from gpu_worker.language.headers import HeaderError
from gpu_worker.language.pickles import Inert, flat_tensors, read_pickled

FORMATS = {"zip": {}, "legacy": {"_use_new_zipfile_serialization": False}}


@pytest.fixture(params=FORMATS)
def save(request, tmp_path):
    def write(value):
        path = tmp_path / "file.ckpt"
        torch.save(value, path, **FORMATS[request.param])
        return path

    return write


def test_names_and_shapes_are_read_without_the_data(save):
    values = {"state_dict": OrderedDict(a=torch.zeros(2, 3), b=torch.zeros(4, dtype=torch.half)), "epoch": 1}
    found = flat_tensors(read_pickled(save(values)).content)
    assert {name: (tensor.shape, tensor.storage.kind) for name, tensor in found.items()} == {
        "a": ((2, 3), "FloatStorage"),
        "b": ((4,), "HalfStorage"),
    }


def test_tensors_come_out_as_they_went_in(save):
    base = torch.arange(24.0).reshape(4, 6)
    dtypes = [
        torch.float64,
        torch.float16,
        torch.bfloat16,
        torch.int64,
        torch.int32,
        torch.int16,
        torch.int8,
        torch.uint8,
    ]
    values = {str(dtype): torch.tensor([1, 2, 3], dtype=dtype) for dtype in dtypes}
    values |= {
        "view": base[1:3, ::2], "turned": base.T, "scalar": torch.tensor(2.5), "empty": torch.zeros(0, 3),
        "bool": torch.tensor([True, False]), "parameter": torch.nn.Parameter(torch.ones(2)),
        "odd": torch.ones(1).byte(),
        "after": torch.full((3,), 1.5),
    }  # fmt: skip
    found = load_pickle(save(values))
    assert found.keys() == values.keys()
    for name, tensor in values.items():
        assert found[name].dtype == tensor.dtype, name
        assert torch.equal(found[name], tensor.detach()), name


def test_what_trainers_leave_beside_the_weights_does_not_matter(save, monkeypatch):
    name = "pytorch_lightning.callbacks.model_checkpoint"
    callback = type("ModelCheckpoint", (), {"__module__": name})
    for place in ("pytorch_lightning", "pytorch_lightning.callbacks", name):
        monkeypatch.setitem(sys.modules, place, types.ModuleType(place))
    sys.modules[name].ModelCheckpoint = callback
    path = save({
        "state_dict": {"state_dict": {"a": torch.ones(2)}},
        "callbacks": {callback: {"best": torch.tensor(1.0), "path": "x"}},
        "optimizer": [{"state": {0: {"step": 3}}, "betas": (0.9, 0.99), "names": {"a", "b"}}],
        "size": torch.Size([1, 2]), "dtype": torch.float16, "device": torch.device("cpu"),
    })  # fmt: skip
    assert list(flat_tensors(read_pickled(path).content)) == ["a"]


def test_embeddings_in_a_parameter_dict(save):
    module = torch.nn.ParameterDict({"*": torch.nn.Parameter(torch.ones(2, 768))})
    values = {"string_to_token": {"*": 265}, "string_to_param": module, "name": "x", "step": 7}
    found = load_pickle(save(values))
    assert torch.equal(found["string_to_param"]["*"], torch.ones(2, 768))
    shapes = flat_tensors(read_pickled(save(values)).content, ("string_to_param",))
    assert {name: tensor.shape for name, tensor in shapes.items()} == {"*": (2, 768)}


# --- traps ------------------------------------------------------------------------------------------------------------


class Call:
    def __init__(self, function, *args):
        self._what = function, args

    def __reduce__(self):
        return self._what


SPRUNG = "sprung"
TRAPS = {
    "a shell": lambda path: Call(os.system, f"touch {path}"),
    "eval": lambda path: Call(eval, f"open({str(path)!r}, 'w')"),
    "below allowed calls": lambda path: OrderedDict(a=[{"b": (Call(open, str(path), "w"),)}]),
    "a state": lambda path: {"state_dict": {"a": torch.ones(1)}, "x": Call(getattr, Call(__import__, "os"), "system")},
    "a class of ours": lambda path: Inert("x"),
    "a module's name only": lambda path: os.system,
    "an attribute of an allowed module": lambda path: Call(torch.load, str(path)),
}


@pytest.mark.parametrize("trap", TRAPS)
def test_traps_are_refused_and_do_not_spring(save, tmp_path, trap):
    with pytest.raises(HeaderError) as caught:
        read_pickled(save({"state_dict": TRAPS[trap](tmp_path / SPRUNG)}))
    assert caught.value.problem == "unsafe"
    assert not (tmp_path / SPRUNG).exists()


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_alone_is_judged_in_every_protocol(tmp_path, protocol):
    path = tmp_path / "x.pt"
    path.write_bytes(pickle.dumps(Call(os.system, f"touch {tmp_path / SPRUNG}"), protocol))
    with pytest.raises(HeaderError) as caught:
        read_pickled(path)
    assert caught.value.problem == "unsafe"
    assert not (tmp_path / SPRUNG).exists()


def op(text):
    return text.encode("latin-1") if isinstance(text, str) else text


PROGRAMS = {
    "a storage of another kind": (
        b"\x80\x02(X\x07\0\0\0storagecos\nsystem\nX\x01\0\0\x000X\x03\0\0\0cpuK\x01tQ.",
        "unsafe",
    ),
    "a persistent id that is none": (b"\x80\x02K\x01Q.", "unsafe"),
    "a persistent id as text": (b"Pwhatever\n.", "unsafe"),
    "an extension": (b"\x80\x02\x82\x01.", "unsafe"),
    "an instance": (b"(ios\nsystem\n.", "unsafe"),
    "a name made of pieces": (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "unsafe"),
    "a name that is no text": (b"\x80\x04K\x01K\x02\x93.", "unsafe"),
    "a call of a value": (b"\x80\x02K\x01)R.", "unsafe"),
    "a call of what a call made": (b"\x80\x02ccollections\nOrderedDict\n)R)R.", "unsafe"),
    "an out-of-band buffer": (b"\x80\x05\x97.", "unsafe"),
    "a memo of four thousand million": (b"\x80\x02K\x01r\xff\xff\xff\xff.", "corrupt"),
    "a memo that was never filled": (b"\x80\x02j\xff\xff\xff\xff.", "corrupt"),
    "an empty stack": (b"\x80\x020.", "corrupt"),
    "no end": (b"\x80\x02K\x01", "corrupt"),
    "a string longer than the file": (b"\x80\x02X\xff\xff\xff\x7fa.", "corrupt"),
    "bytes longer than any memory": (b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.", "corrupt"),
    "no pickle at all": (b"<!DOCTYPE html>", "corrupt"),
    "nothing": (b"", "corrupt"),
    "deep as a well": (b"\x80\x02" + b"(" * 100_000 + b"t" * 100_000 + b".", "corrupt"),
    "a key deep as a well": (b"\x80\x02}" + b")" + b"\x85" * 100_000 + b"K\x01s.", "corrupt"),
    "a dict in itself": (b"\x80\x02}q\0X\x01\0\0\0ah\0s.", "corrupt"),
}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("zipped", [False, True])
def test_hostile_programs_end_quietly(tmp_path, name, zipped):
    program, problem = PROGRAMS[name]
    path = tmp_path / "x.pt"
    if zipped:
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("x/data.pkl", program)
    else:
        path.write_bytes(program)
    harmless = {"a memo of four thousand million", "deep as a well", "a key deep as a well", "a dict in itself"}
    if zipped and name in harmless:
        assert flat_tensors(read_pickled(path).content) == {}
        return
    with pytest.raises(HeaderError) as caught:
        read_pickled(path)
    assert caught.value.problem == problem


def rebuilt(shape, stride, *, numel=4, offset=0, kind="FloatStorage"):
    """The archive of a single tensor that claims this of its storage, which has 16 bytes."""
    ints = lambda values: b"(" + b"".join(b"L%dL\n" % v for v in values) + b"t"  # noqa: E731
    program = b"\x80\x02}X\x01\0\0\0actorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\n" + kind.encode()
    program += (
        b"\nX\x01\0\0\x000X\x03\0\0\0cpuL%dL\ntQL%dL\n" % (numel, offset) + ints(shape) + ints(stride) + b"\x89}tRs."
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("x/data.pkl", program)
        file.writestr("x/data/0", b"\0" * 16)
    return out.getvalue()


def test_the_honest_one_is_read(tmp_path):
    (tmp_path / "x.pt").write_bytes(rebuilt((2, 2), (2, 1)))
    assert torch.equal(load_pickle(tmp_path / "x.pt")["a"], torch.zeros(2, 2))


@pytest.mark.parametrize(
    "claim",
    [
        {"shape": (2, 3), "stride": (3, 1)},
        {"shape": (4,), "stride": (2,)},
        {"shape": (4,), "stride": (1,), "offset": 1},
        {"shape": (4,), "stride": (1,), "offset": -1},
        {"shape": (4,), "stride": (-1,)},
        {"shape": (-1,), "stride": (1,)},
        {"shape": (2,), "stride": (1, 1)},
        {"shape": (1 << 40, 1 << 40), "stride": (0, 0)},
        {"shape": (5,), "stride": (1,), "numel": 5},
        {"shape": (4,), "stride": (1,), "numel": 1 << 62},
        {"shape": (4,), "stride": (1,), "kind": "DoubleStorage"},
        {"shape": (1,) * 65, "stride": (1,) * 65},
    ],
)
def test_a_tensor_beyond_its_storage_is_refused(tmp_path, claim):
    (tmp_path / "x.pt").write_bytes(rebuilt(**claim))
    with pytest.raises(HeaderError) as caught:
        read_pickled(tmp_path / "x.pt")
    assert caught.value.problem == "corrupt"


def archive(*members, compression=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as file:
        for name, content in members:
            file.writestr(name, content)
    return out.getvalue()


GOOD = ("x/data.pkl", b"\x80\x02}.")


@pytest.mark.parametrize(
    "content",
    [
        archive(GOOD, ("x/data/0", b"\0" * 10_000_000), compression=zipfile.ZIP_DEFLATED),
        archive(GOOD, ("x/../../evil", b"1")),
        archive(GOOD, ("/etc/passwd", b"1")),
        archive(GOOD, ("y/data/0", b"1")),
        archive(GOOD, ("x/code/x.py", b"1")),
        archive(("x/version", b"3")),
        archive(GOOD, ("x/byteorder", b"big")),
        archive(GOOD)[:-30],
        archive(GOOD).replace(b"PK\x01\x02", b"PK\x01\x03"),
    ],
    # Their bytes hold the time they were made at.
    ids=["compressed", "outside", "absolute", "two roots", "code", "no pickle", "other end", "cut", "no directory"],
)
def test_archives_that_torch_did_not_write(tmp_path, content):
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(HeaderError) as caught:
        read_pickled(tmp_path / "x.pt")
    assert caught.value.problem == "corrupt"


def test_a_member_that_claims_more_than_the_file(tmp_path):
    content = bytearray(rebuilt((4,), (1,)))
    entry = content.rindex(b"PK\x01\x02")
    struct.pack_into("<II", content, entry + 20, 1 << 30, 1 << 30)
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(HeaderError):
        read_pickled(tmp_path / "x.pt")


def test_half_a_file(save):
    path = save({"a": torch.zeros(1000)})
    whole = path.read_bytes()
    for size in (3, 50, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(HeaderError) as caught:
            read_pickled(path)
        assert caught.value.problem == "corrupt"


def test_any_bytes_changed_never_raise_anything_else(save):
    path = save({"state_dict": {"a": torch.arange(6.0), "b": torch.ones(2, 2)}, "c": (1, 2.5, "x")})
    whole = path.read_bytes()
    dice = torch.Generator().manual_seed(0)
    for _ in range(300):
        broken = bytearray(whole)
        for _ in range(3):
            place, value = (
                torch.randint(0, len(whole), (1,), generator=dice),
                torch.randint(0, 256, (1,), generator=dice),
            )
            broken[int(place)] = int(value)
        path.write_bytes(broken)
        with contextlib.suppress(HeaderError):
            load_pickle(path)
