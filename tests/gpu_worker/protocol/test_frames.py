"""Frames survive any chunking; what is no frame is never taken for one."""

from __future__ import annotations

import contextlib
import itertools
import struct

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_worker.protocol import messages as m
from gpu_worker.protocol.frames import FRAME_LIMIT_BYTES, FrameError, Unframer, frame, pack, unpack

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

keys = st.from_regex(r"[A-Za-z0-9_-]{1,25}", fullmatch=True)
messages = st.one_of(
    st.builds(m.Heartbeat, boot=st.text(max_size=20), vram_free_mb=st.none() | st.integers(0, 2**40)),
    st.builds(
        m.Progress, job=keys, attempt=st.integers(0, 2**31), n=st.integers(0, 2**31), phase=st.text(max_size=9),
        step=st.integers(0, 150), of=st.integers(0, 150), eta_s=st.none() | st.floats(0, 1e6),
        preview=st.none() | st.binary(max_size=4000),
    ),
    st.builds(m.Failed, job=keys, attempt=st.integers(0, 9), kind=st.just("oom"), message=st.text(max_size=300)),
)  # fmt: skip


def chopped(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    return [data[a:b] for a, b in itertools.pairwise(places)]


@given(st.lists(messages, max_size=6), st.lists(st.integers(0, 20_000), max_size=30))
def test_any_chunking_gives_back_the_frames(sent, cuts):
    unframer = Unframer()
    data = b"".join(frame(message) for message in sent)
    got = [m.parse_to_bot(raw) for chunk in chopped(data, cuts) for raw in unframer.feed(chunk)]
    assert got == sent


@given(st.lists(messages, min_size=1, max_size=3))
def test_byte_by_byte_too(sent):
    unframer = Unframer()
    data = b"".join(frame(message) for message in sent)
    got = [raw for place in range(len(data)) for raw in unframer.feed(data[place : place + 1])]
    assert len(got) == len(sent)


@given(st.binary(max_size=200))
def test_garbage_gives_frames_or_a_frame_error_and_nothing_else(data):
    unframer = Unframer()
    with contextlib.suppress(FrameError):
        for raw in unframer.feed(data):
            assert isinstance(raw, dict)


@given(st.binary(max_size=200))
def test_unpack_gives_a_map_or_a_frame_error(data):
    with contextlib.suppress(FrameError):
        assert isinstance(unpack(data), dict)


def test_frames_before_the_damage_are_still_given():
    unframer = Unframer()
    got = []
    with pytest.raises(FrameError):
        got.extend(raw["t"] for raw in unframer.feed(frame(m.Resync()) + struct.pack(">I", FRAME_LIMIT_BYTES + 1)))
    assert got == ["resync"]


@pytest.mark.parametrize("value", [[1, 2], 7, "text", None, {1: 2}])
def test_only_maps_with_text_keys_are_messages(value):
    with pytest.raises(FrameError):
        unpack(msgpack.packb(value))


def test_frame_over_the_limit_is_not_sent():
    big = m.Progress(job="a", attempt=1, n=1, phase="x", step=1, of=1, preview=b"x" * FRAME_LIMIT_BYTES)
    with pytest.raises(FrameError):
        frame(big)


def test_announced_length_over_the_limit_is_refused_before_it_is_collected():
    with pytest.raises(FrameError):
        list(Unframer().feed(struct.pack(">I", FRAME_LIMIT_BYTES + 1)))


def test_frame_at_the_limit_passes():
    empty = m.Progress(job="a", attempt=1, n=1, phase="x", step=1, of=1, preview=b"")
    room = FRAME_LIMIT_BYTES - len(pack(empty)) - 16
    full = empty.model_copy(update={"preview": b"x" * room})
    (raw,) = Unframer().feed(frame(full))
    assert m.parse_to_bot(raw) == full
