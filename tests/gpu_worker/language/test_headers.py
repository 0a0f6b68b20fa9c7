"""Headers that lie: every one is refused before anything of the size that it claims is asked for."""

import json

import pytest

from gpu_worker.language.headers import HeaderError, read_header
from gpu_worker.language.kinds import read_file


def written(tmp_path, header, data=b"\0" * 8, length=None):
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes((len(raw) if length is None else length).to_bytes(8, "little") + raw + data)
    return path


def entry(kind="F16", shape=(4,), at=(0, 8)):
    return {"dtype": kind, "shape": list(shape), "data_offsets": list(at)}


HALF = entry(shape=(2,), at=(0, 4))
LIES = {
    "a hundred gigabytes": (b"{}", 100 << 30),
    "all of 64 bits": (b"{}", 2**64 - 1),
    "another type": ({"a": entry("F32")}, None),
    "an unknown type": ({"a": entry("F12")}, None),
    "a list as type": ({"a": {**entry(), "dtype": ["F16"]}}, None),
    "beyond the end": ({"a": entry(shape=(5,), at=(0, 10))}, None),
    "before the start": ({"a": entry(at=(-8, 0))}, None),
    "backwards": ({"a": entry(at=(8, 0))}, None),
    "a gap": ({"a": HALF, "b": entry(shape=(1,), at=(6, 8))}, None),
    "less than the file": ({"a": HALF}, None),
    "two in one place": ({"a": entry(), "b": entry()}, None),
    "negative": ({"a": entry(shape=(-4,))}, None),
    "infinite": (b'{"a": {"dtype": "F16", "shape": [Infinity], "data_offsets": [0, 8]}}', None),
    "no number": (b'{"a": {"dtype": "F16", "shape": [NaN], "data_offsets": [0, 8]}}', None),
    "a truth as number": ({"a": entry(shape=(True, 4))}, None),
    "an endless number": (b'{"a": {"dtype": "F16", "shape": [' + b"9" * 5000 + b'], "data_offsets": [0, 8]}}', None),
    "huge sizes and none": ({"a": entry(shape=(2**62, 0), at=(0, 0)), "b": entry()}, None),
    "a million dimensions": ({"a": entry(shape=(1,) * 100_000 + (4,))}, None),
    "a million objects": (b'{"a":[' + b"{}," * 600_000 + b"{}]}", None),
    "three offsets": ({"a": {**entry(), "data_offsets": [0, 4, 8]}}, None),
    "an entry of text": ({"a": "F16"}, None),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_header_that_lies_is_refused(tmp_path, lie):
    header, length = LIES[lie]
    path = written(tmp_path, header, length=length)
    with pytest.raises(HeaderError) as caught:
        read_header(path)
    assert caught.value.problem == "corrupt"
    assert read_file("lora", path).problem == "corrupt"


def test_an_honest_one_counts_its_numbers(tmp_path):
    path = written(tmp_path, {"b": entry(shape=(2,), at=(4, 8)), "a": HALF, "__metadata__": {"x": "1"}})
    header = read_header(path)
    assert (header.shapes, header.counts, header.metadata) == ({"a": (2,), "b": (2,)}, {"F16": 4}, {"x": "1"})
    assert read_header(written(tmp_path, {"a": entry(shape=(0, 3), at=(0, 0)), "b": entry()})).counts == {"F16": 4}


def test_metadata_that_is_no_table_is_no_reason_to_refuse(tmp_path):
    assert read_header(written(tmp_path, {"a": entry(), "__metadata__": [1]})).metadata == {}
