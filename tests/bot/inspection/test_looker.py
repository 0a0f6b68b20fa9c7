"""The process that looks: started when needed, kept, and started again when a question was its end."""

import asyncio
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from bot.inspection import Looker, LookerTimes
from gpu_worker.looker.__main__ import _answered
from gpu_worker.protocol.looking import LookAtOwn, LookAtPicture, LookAtPreview, Refused, Seen, SeenOwn, SeenPreview
from tests.gpu_worker.engine.safety.tiny_onnx import install

CHECKOUT = Path(__file__).parents[3]


def png(colour=(0, 255, 0), size=(48, 32)):
    target = io.BytesIO()
    Image.new("RGB", size, colour).save(target, "PNG")
    return target.getvalue()


def question(folder, data=None):
    (folder / "source").write_bytes(data if data is not None else png())
    return LookAtPicture(
        source=str(folder / "source"), target=str(folder / "target"), mime="image/png", width=48, height=32,
        longest_px=4096, limit_bytes=100_000, texts={"parameters": "ours"},
    )  # fmt: skip


@pytest.fixture
async def looker(tmp_path):
    made = Looker(tmp_path / "models", tmp_path / "looker.log", at_once=1)
    yield made
    await made.stop()


async def test_it_is_started_when_needed_and_kept(looker, tmp_path):
    assert looker.pids() == []
    answer = await looker.ask(question(tmp_path))
    assert isinstance(answer, Seen)
    assert answer.looked is None or answer.looked.by == "nudenet"  # where that package is installed
    assert (tmp_path / "target").stat().st_size == answer.size_bytes
    (pid,) = looker.pids()
    assert isinstance(await looker.ask(question(tmp_path, b"none")), Refused)
    assert looker.pids() == [pid]
    await looker.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_the_bots_own_classifier_looks(looker, tmp_path):
    install(tmp_path / "models")
    nude = await looker.ask(question(tmp_path, png((255, 0, 0))))
    clean = await looker.ask(question(tmp_path, png((0, 255, 0))))
    assert (nude.looked.by, round(nude.looked.nude), clean.looked.nude) == ("colours", 1, pytest.approx(0))
    source = tmp_path / "own.png"
    source.write_bytes(png((255, 0, 0)))
    own = await looker.ask(LookAtOwn(source=str(source)))
    assert isinstance(own, SeenOwn)
    assert (own.looked.by, round(own.looked.nude)) == ("colours", 1)
    assert source.read_bytes() == png((255, 0, 0))
    source.unlink()  # whoever stores it says that it is lost
    assert await looker.ask(LookAtOwn(source=str(source))) == SeenOwn()
    preview = io.BytesIO()
    Image.radial_gradient("L").resize((64, 64)).convert("RGB").save(preview, "JPEG")
    asked = LookAtPreview(data=preview.getvalue(), longest_px=512, guarded=True)
    assert isinstance(await looker.ask(asked), SeenPreview)


def test_a_preview_that_should_be_veiled_is_not_let_through_without_a_classifier():
    preview = io.BytesIO()
    Image.new("RGB", (64, 64)).save(preview, "JPEG")
    asked = LookAtPreview(data=preview.getvalue(), longest_px=512, guarded=True)
    assert isinstance(_answered(asked, None), Refused)
    assert isinstance(_answered(asked.model_copy(update={"guarded": False}), None), SeenPreview)


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
async def test_a_killed_one_is_followed_by_another(looker, tmp_path):
    await looker.ask(question(tmp_path))
    (pid,) = looker.pids()
    os.kill(pid, signal.SIGKILL)
    assert isinstance(await looker.ask(question(tmp_path)), Seen)
    assert looker.pids() != [pid]


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
async def test_a_question_that_has_no_end_is_refused_and_the_next_one_answered(tmp_path):
    looker = Looker(tmp_path, tmp_path / "looker.log", LookerTimes(answer_s=0.5), at_once=1)
    try:
        os.mkfifo(tmp_path / "source")  # opening it waits for a writer that never comes
        asked = LookAtPicture(
            source=str(tmp_path / "source"), target=str(tmp_path / "target"), mime="image/png", longest_px=64,
            limit_bytes=1000,
        )  # fmt: skip
        assert isinstance(await looker.ask(asked), Refused)
        (tmp_path / "source").unlink()
        looker.times = LookerTimes()
        assert isinstance(await looker.ask(question(tmp_path)), Seen)
    finally:
        await looker.stop()


async def test_a_full_disk_is_nobodys_fault(looker, tmp_path):
    (tmp_path / "target").mkdir()  # cannot be written
    with pytest.raises(OSError, match="cannot be written"):
        await looker.ask(question(tmp_path))


async def test_a_process_that_does_not_start_is_nobodys_fault(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    looker = Looker(tmp_path, tmp_path / "looker.log", at_once=1)
    with pytest.raises(OSError, match="no looker"):
        await looker.ask(question(tmp_path))
    assert "launch.py doctor" in caplog.text


async def test_who_is_cut_off_leaves_no_answer_to_the_next(looker, tmp_path):
    await looker.ask(question(tmp_path))
    asking = asyncio.create_task(looker.ask(question(tmp_path)))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert isinstance(await looker.ask(question(tmp_path, b"none")), Refused)


@pytest.mark.parametrize("delay_s", [0, 0.001, 0.02, 0.2, 1])
async def test_it_stops_at_any_moment(tmp_path, delay_s):
    looker = Looker(tmp_path, tmp_path / "looker.log", at_once=1)
    asking = asyncio.create_task(looker.ask(question(tmp_path)))
    await asyncio.sleep(delay_s)
    async with asyncio.timeout(60):
        await looker.stop()
        assert looker.pids() == []
        (found,) = await asyncio.gather(asking, return_exceptions=True)
        assert isinstance(found, Seen | OSError)
        await looker.stop()


@pytest.mark.parametrize("delay_s", [0, 0.001, 0.02, 0.2])
async def test_whoever_asks_may_be_cut_off_while_it_starts(tmp_path, delay_s):
    looker = Looker(tmp_path, tmp_path / "looker.log", at_once=1)
    asking = asyncio.create_task(looker.ask(question(tmp_path)))
    await asyncio.sleep(delay_s)
    async with asyncio.timeout(60):  # Python's own start of a process hangs where it is cancelled
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        assert isinstance(await looker.ask(question(tmp_path)), Seen)
        await looker.stop()


async def test_the_event_loop_goes_on_meanwhile(looker, tmp_path):
    big = io.BytesIO()
    Image.effect_noise((2048, 2048), 90).convert("RGB").save(big, "PNG", compress_level=1)
    (tmp_path / "source").write_bytes(big.getvalue())
    asked = question(tmp_path, big.getvalue()).model_copy(
        update={"width": 2048, "height": 2048, "limit_bytes": 100_000_000}
    )
    await looker.ask(question(tmp_path))  # started
    (tmp_path / "source").write_bytes(big.getvalue())
    asking, longest, last = asyncio.create_task(looker.ask(asked)), 0.0, time.process_time()
    while not asking.done():
        await asyncio.sleep(0.005)
        now = time.process_time()  # of this process alone: what it computed between two turns
        longest, last = max(longest, now - last), now
    assert isinstance(asking.result(), Seen)
    assert longest < 0.05


def test_it_needs_no_torch_and_without_a_classifier_nothing_heavy_at_all():
    program = """
import sys
for heavy in ("torch", "numpy", "onnxruntime", "cv2", "sd_parsers"):
    sys.modules[heavy] = None
import gpu_worker.looker.__main__
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=CHECKOUT)


def test_with_a_classifier_it_still_needs_no_torch(tmp_path):
    install(tmp_path)
    program = f"""
import sys
sys.modules["torch"] = None
from pathlib import Path
from gpu_worker.engine.safety.guard import find_classifier
assert not find_classifier(Path({str(tmp_path)!r})).look({png()!r}).failed
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=CHECKOUT)
