"""What a remote worker sends becomes what may be kept, with the real looker and a real classifier."""

import hashlib
import io
import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from safetensors.torch import save_file

from bot.domain.ids import ChannelId, JobId, UserId
from bot.domain.job import Action, Job, JobStatus, Lane
from bot.inspection import Inspection, Looker, UnfitError, inspection
from gpu_worker.language.training.parameters import Parameters
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.outbox import MODEL_MIME
from gpu_worker.protocol.results import TEXT_MIME, Captioned, Captions, Description, Tag
from gpu_worker.protocol.safety import Looked
from gpu_worker.protocol.specs import (
    Caption,
    CaptionPicture,
    ConvertSpec,
    Describe,
    ImageRef,
    Img2Img,
    Sheet,
    Train,
    TrainDataset,
    TrainImage,
    TrainSubset,
    Txt2Img,
    Ultimate,
    Upscale,
)
from tests.gpu_worker.engine.safety.tiny_onnx import install

REF = ImageRef(ref="given", sha256="a" * 64, mime="image/png", size_bytes=9)
TXT = Txt2Img(prompt="a cat", checkpoint="toy", width=96, height=64, seed=5, count=2)


def png(colour=(0, 255, 0), size=(96, 64), text="rude words"):
    info, target = PngInfo(), io.BytesIO()
    info.add_text("parameters", text)
    Image.new("RGB", size, colour).save(target, "PNG", pnginfo=info)
    return target.getvalue()


def job_of(task):
    return Job(
        id=JobId("job"), action=Action.IMAGINE, user_id=UserId(1), guild_id=None, channel_id=ChannelId(5), locale="en",
        lane=Lane.INTERACTIVE, task=task, status=JobStatus.ASSIGNED, work_units=1, attempt=1, crashes=0, worker="attic",
        created_at=0,
    )  # fmt: skip


class Attic:
    """A worker's box, and the bot that looks at it."""

    def __init__(self, folder: Path, looker: Looker) -> None:
        self.folder = folder
        self.given: Path | None = None
        self.steps = 0
        self.inspection = Inspection(looker, self, is_remote=lambda name: name == "attic")

    async def file(self, ref):
        return self.given

    def output(self, data=None, n=0, mime="image/png", **fields):
        suffix = {"image/png": ".png", TEXT_MIME: ".json", MODEL_MIME: ".safetensors"}.get(mime, "")
        path = self.folder / f"job.1.{n}{suffix}"
        if data is not None:
            path.write_bytes(data)
        size = path.stat().st_size if path.exists() else 5
        return m.Output(**{
            "blob": path.name, "size_bytes": size, "sha256": hashlib.sha256(data or b"").hexdigest(), "mime": mime,
            "width": 1, "height": 1, "seed": 99, "infotext": "rude words", **fields,
        })  # fmt: skip

    async def fetch(self, output):
        return self.folder / output.blob

    def alive(self):
        self.steps += 1

    async def done(self, task, *outputs, **fields):
        message = m.Done(worker="attic", job="job", attempt=1, outputs=outputs, **fields)
        return await self.inspection.end(message, job_of(task), self.fetch, self.alive)

    async def part(self, task, output, **fields):
        message = m.Partial(worker="attic", job="job", attempt=1, outputs=(output,), **{"n": 3, **fields})
        return await self.inspection.part(message, job_of(task), self.fetch)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    install(folder)
    return folder


@pytest.fixture
async def attic(tmp_path, models):
    looker = Looker(models, tmp_path / "looker.log", at_once=1)
    (tmp_path / "box").mkdir()
    yield Attic(tmp_path / "box", looker)
    await looker.stop()


# --- pictures ---------------------------------------------------------------------------------------------------------


async def test_pictures_are_what_the_bot_knows_of_them(attic):
    said = Looked(by="liar", nude=0.0)
    nude, clean = attic.output(png((255, 0, 0)), 0, safety=said), attic.output(png(), 1, safety=said)
    done = await attic.done(TXT, nude, clean, run_s=float("inf"), load_s=float("nan"))
    assert [(out.width, out.height, out.seed) for out in done.outputs] == [(96, 64, 5), (96, 64, 6)]
    assert [(out.safety.by, round(out.safety.nude)) for out in done.outputs] == [("colours", 1), ("colours", 0)]
    for output in done.outputs:
        data = (attic.folder / output.blob).read_bytes()
        assert hashlib.sha256(data).hexdigest() == output.sha256
        assert len(data) == output.size_bytes
        assert b"rude" not in data
        assert output.infotext.startswith("a cat\nSteps: 20")
        with Image.open(io.BytesIO(data)) as image:
            assert image.info == {"parameters": output.infotext}
        assert output.blob.startswith("job.1.")  # it goes with its outbox entry
    assert (done.run_s, done.load_s) == (0.0, 0.0)
    assert attic.steps == 2
    assert await attic.done(TXT, nude, clean) == done.model_copy(update={"load_s": 0.0, "run_s": 0.0})


async def test_the_worse_of_both_looks_counts(attic):
    one = TXT.model_copy(update={"count": 1})
    said = Looked(by="honest", nude=0.7, suggestive=0.9)
    (output,) = (await attic.done(one, attic.output(png(), safety=said))).outputs
    assert (output.safety.by, output.safety.nude, output.safety.suggestive) == ("colours", 0.7, 0.9)
    failed = Looked(by="broken", failed=True)
    (output,) = (await attic.done(one, attic.output(png(), safety=failed))).outputs
    assert not output.safety.failed  # ours could look


async def test_without_a_classifier_of_our_own_a_worker_speaks_only_against_its_picture(attic, tmp_path, monkeypatch):
    real = inspection._worse
    monkeypatch.setattr(inspection, "_worse", lambda own, said: real(None, said))
    one = TXT.model_copy(update={"count": 1})
    found = [
        (await attic.done(one, attic.output(png(), safety=said))).outputs[0].safety
        for said in (None, Looked(by="x", nude=0.1), Looked(by="x", failed=True), Looked(by="x", nude=0.6))
    ]
    assert found[:3] == [None, None, None]
    assert (found[3].by, found[3].nude) == ("worker", 0.6)


@pytest.mark.parametrize(
    "outputs",
    [
        lambda a: [a.output(png())],
        lambda a: [a.output(png(), 0), a.output(png(), 1), a.output(png(), 2)],
        lambda a: [],
        lambda a: [a.output(png(), 0), a.output(b"no picture", 1)],
        lambda a: [a.output(png(), 0), a.output(png(size=(64, 96)), 1)],
        lambda a: [a.output(png(), 0), a.output(None, 1)],
        lambda a: [a.output(png(), 0), a.output(png(), 1, size_bytes=-4)],
        lambda a: [a.output(png(), 0), a.output(png(), 1, size_bytes=1 << 40)],
        lambda a: [a.output(png(), 0), a.output(b"{}", 1, TEXT_MIME)],
        lambda a: [a.output(png(), 0), a.output(png() + bytes(2_000_000), 1)],
    ],
    ids=["too few", "too many", "none", "no picture", "another size", "no file", "size below 0", "size too large",
         "a text", "padded"],
)  # fmt: skip
async def test_what_is_no_result_of_the_job_is_the_workers_fault(attic, outputs):
    with pytest.raises(UnfitError):
        await attic.done(TXT, *outputs(attic))


async def test_a_sheet_may_miss_cells_that_it_has(attic):
    one = TXT.model_copy(update={"count": 1})
    sheet = Sheet(cells=tuple(one.model_copy(update={"seed": seed}) for seed in (1, 2, 3)))
    lost = m.Missing(index=1, kind="oom", detail={"model": "x\n@everyone", "Bad Key": 1, "n": float("nan")})
    done = await attic.done(sheet, attic.output(png(), 0), attic.output(png(), 1), missing=(lost,))
    assert [output.seed for output in done.outputs] == [1, 3]
    assert done.missing[0].detail == {"model": "x @everyone"}
    for missing in ((m.Missing(index=3, kind="oom"),), (lost, lost)):
        with pytest.raises(UnfitError):
            await attic.done(sheet, attic.output(png(), 0), attic.output(png(), 1), missing=missing)
    with pytest.raises(UnfitError):
        await attic.done(TXT, attic.output(png(), 0), missing=(m.Missing(index=1, kind="oom"),))


async def test_an_enlarged_picture_keeps_the_text_of_its_source(attic):
    attic.given = attic.folder / "source.png"
    attic.given.write_bytes(png(text="a dog\nSteps: 9, Seed: 1, Size: 96x64"))
    task = Upscale(image=REF, scale=2)
    (output,) = (await attic.done(task, attic.output(png(size=(192, 128))))).outputs
    assert output.infotext == "a dog\nSteps: 9, Seed: 1, Size: 96x64"
    attic.given = None
    (output,) = (await attic.done(task, attic.output(png(size=(192, 128))))).outputs
    assert "Postprocess upscaler" in output.infotext


# --- texts ------------------------------------------------------------------------------------------------------------


async def test_a_description_says_of_the_picture_what_the_picture_says(attic):
    attic.given = attic.folder / "source.png"
    attic.given.write_bytes(png(text="a dog\nSteps: 9, Sampler: Euler, Seed: 1, Size: 96x64"))
    said = Description(
        general=(Tag(name="cat", score=0.9), Tag(name="a\x1b[31mb", score=0.5)), width=7, height=7, infotext="rude"
    )
    output = attic.output(said.model_dump_json().encode(), mime=TEXT_MIME)
    done = await attic.done(Describe(image=REF, tagger="t"), output)
    found = Description.model_validate_json((attic.folder / done.outputs[0].blob).read_bytes())
    assert [tag.name for tag in found.general] == ["cat"]
    assert (found.width, found.height) == (96, 64)
    assert found.infotext.startswith("a dog")
    for data in (b"", b"[]", b'{"general": [{"name": "", "score": 9}]}', b"\xff\xfe"):
        with pytest.raises(UnfitError):
            await attic.done(Describe(image=REF, tagger="t"), attic.output(data or b" ", mime=TEXT_MIME))


async def test_captions_are_those_of_the_pictures_that_were_asked_for(attic):
    task = Caption(pictures=tuple(CaptionPicture(id=i, image=REF) for i in "ab"), tagger="t")

    async def answered(*pictures):
        data = Captions(pictures=pictures).model_dump_json().encode()
        done = await attic.done(task, attic.output(data, mime=TEXT_MIME))
        return Captions.model_validate(json.loads((attic.folder / done.outputs[0].blob).read_bytes())).pictures

    found = await answered(Captioned(id="a", caption="x,\n\x07y", scores=(7.0,)), Captioned(id="b", problem="rude"))
    assert [(one.caption, one.scores, one.problem) for one in found] == [("x,  y", (1.0,), None), ("", (), "failed")]
    for wrong in ((), (Captioned(id="a"),), (Captioned(id="b"), Captioned(id="a"))):
        with pytest.raises(UnfitError):
            await answered(*wrong)


async def test_a_failure_says_short_plain_words(attic):
    failed = m.Failed(
        job="job", attempt=1, kind="oom", message="x" * 9000,
        detail={"model": "m" * 900, "limit_px": 5, "list": [1], "big": 1e300, "Ünfit": 1}
        | dict.fromkeys("abcdefghijklm", 1),
    )  # fmt: skip
    found = await attic.inspection.end(failed, job_of(TXT), attic.fetch, attic.alive)
    assert len(found.message) == 500
    assert (len(found.detail["model"]), found.detail["limit_px"]) == (200, 5)
    assert set(found.detail) == {"model", "limit_px", *"abcdefghijk"}
    paused = m.Paused(job="job", attempt=1, step=2**60, of=2**60, run_s=float("inf"), reason="x\ny")
    found = await attic.inspection.end(paused, job_of(TXT), attic.fetch, attic.alive)
    assert (found.step, found.of, found.run_s, found.reason) == (2**31, 2**31, 0.0, "x y")


# --- models -----------------------------------------------------------------------------------------------------------


def model_file(attic, name="made.safetensors"):
    path = attic.folder / name
    save_file(
        {"lora_unet_x.lora_down.weight": torch.zeros(4, 8), "lora_unet_x.lora_up.weight": torch.zeros(8, 4)}, path
    )
    return path.read_bytes()


def training(**fields):
    images = (TrainImage(image=REF, caption="x"),)
    dataset = TrainDataset(subsets=(TrainSubset(name="1_x", images=images),))
    return Train(
        checkpoint="toy", output_name="mychar", datasets=(dataset,), parameters=Parameters(seed=1), **fields
    )  # fmt: skip


@pytest.mark.parametrize("data", [b"PK\x03\x04" + bytes(99), b"\x80\x02}q\x00.", b"<html>", b"x" * 99])
async def test_a_model_that_is_none_is_refused_whatever_it_is_called(attic, data):
    convert = ConvertSpec(model="m", model_kind="lora", output="n", owner=None)
    with pytest.raises(UnfitError):
        await attic.done(convert, attic.output(data, mime=MODEL_MIME))
    saved = m.SavedModel(name="mychar", epoch=1, step=1, final=True)
    with pytest.raises(UnfitError):
        await attic.part(training(), attic.output(data, 1, MODEL_MIME), file=saved)


async def test_a_model_is_taken_as_the_file_that_was_asked_for(attic):
    convert = ConvertSpec(model="m", model_kind="lora", output="n", owner=None)
    output = attic.output(model_file(attic), mime=MODEL_MIME)
    done = await attic.done(convert, output)
    assert done.outputs[0].blob == output.blob
    for outputs in ((), (output, output), (attic.output(png(), 1),)):
        with pytest.raises(UnfitError):
            await attic.done(convert, *outputs)


@pytest.mark.parametrize(("name", "fits"), [
    ("mychar", True), ("mychar-000002", True), ("mychar-step00000500", True), ("other", False), ("mychar2", False),
    ("../mychar", False), ("mychar-abc", False), ("mychar-00000²", False),
])  # fmt: skip
async def test_a_training_saves_files_of_its_own_name(attic, name, fits):
    output = attic.output(model_file(attic), 1, MODEL_MIME)
    asked = attic.part(training(), output, file=m.SavedModel(name=name, epoch=1, step=2**31 if fits else 1))
    if fits:
        assert (await asked).outputs == (output,)
    else:
        with pytest.raises(UnfitError):
            await asked
    with pytest.raises(UnfitError):
        await attic.part(training(), output, file=m.SavedModel(name="mychar", epoch=2**63, step=1))
    with pytest.raises(UnfitError):
        await attic.part(TXT, output, file=m.SavedModel(name="mychar", epoch=1, step=1))


# --- parts and previews -----------------------------------------------------------------------------------------------


async def test_a_part_is_a_tile_of_a_picture_that_has_some(attic):
    drawing = Img2Img(prompt="x", checkpoint="toy", width=64, height=64, seed=1, image=REF)
    tiled = Ultimate(drawing=drawing, width=512, height=512, tile_width=128)
    part = await attic.part(tiled, attic.output(png()), state=b"\x80pickle")
    data = (attic.folder / part.outputs[0].blob).read_bytes()
    assert b"rude" not in data
    assert hashlib.sha256(data).hexdigest() == part.outputs[0].sha256
    assert part.state is None
    assert await attic.part(TXT, attic.output(png())) is None
    assert await attic.part(tiled, attic.output(png()), n=4000) is None
    assert await attic.part(tiled, attic.output(b"x", mime="application/octet-stream")) is None
    with pytest.raises(UnfitError):
        await attic.part(tiled, attic.output(b"no picture"))


async def test_previews_are_written_anew_veiled_or_left_out(attic):
    def progress(data, **fields):
        return m.Progress(**{"job": "job", "attempt": 1, "n": 1, "phase": "sampling", "step": 3, "of": 20,
                             "preview": data, "preview_guarded": True, **fields})  # fmt: skip

    def jpeg(picture):
        target = io.BytesIO()
        picture.save(target, "JPEG", quality=95, comment=b"rude")
        return target.getvalue()

    clean, nude = jpeg(Image.new("RGB", (64, 64), (0, 255, 0))), jpeg(Image.effect_noise((64, 64), 200).convert("RGB"))
    told = await attic.inspection.progress(progress(clean), guarded=False)
    assert b"rude" not in told.preview
    assert not told.preview_guarded  # nobody of ours has looked at it
    told = await attic.inspection.progress(progress(nude), guarded=True)
    assert told.preview_guarded
    with Image.open(io.BytesIO(told.preview)) as veiled:
        assert veiled.size == (64, 64)
        assert len(veiled.convert("L").getcolors()) < 200
    told = await attic.inspection.progress(progress(b"no picture"), guarded=False)
    assert told.preview is None
    wild = progress(None, phase="x\n" * 99, step=-5, of=10**30, eta_s=float("nan"), n=1)
    told = await attic.inspection.progress(wild, guarded=False)
    assert (told.step, told.of, told.eta_s, len(told.phase)) == (0, 2**31, None, 60)
