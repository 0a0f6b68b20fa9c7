"""What both sides agree on: kinds, ranges, and that the future is ignored politely."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from gpu_worker.protocol import messages as m
from gpu_worker.protocol.frames import pack, unpack
from gpu_worker.protocol.outbox import MODEL_MIME, fin_name, output_name, owned_names
from gpu_worker.protocol.specs import Hires, ImageRef, RenderedSource, StoredSource, Txt2Img, Variation

SPEC = Txt2Img(prompt="a cat", checkpoint="m1", width=512, height=768, seed=2**64 - 1)


@pytest.mark.parametrize(
    "spec",
    [
        SPEC,
        SPEC.model_copy(update={"variations": (Variation(seed=1, strength=0.5), Variation(seed=2, strength=1))}),
        SPEC.model_copy(update={"hires": Hires(upscaler="Latent")}),
        SPEC.model_copy(update={"hires": Hires(source=RenderedSource(spec=SPEC))}),
        SPEC.model_copy(
            update={
                "hires": Hires(source=StoredSource(image=ImageRef(ref="r", sha256="s", mime="image/png", size_bytes=1)))
            }
        ),
    ],
)
def test_assign_crosses_the_wire_and_the_database_unchanged(spec):
    assign = m.Assign(job="a", attempt=1, spec=spec, resume=b"\x00\xff")
    assert m.parse_to_worker(unpack(pack(assign))) == assign
    assert Txt2Img.model_validate_json(spec.model_dump_json()) == spec


def test_unknown_fields_are_ignored_and_unknown_kinds_refused():
    raw = {**m.Resync().model_dump(), "colour": "red", "v": 99}
    assert isinstance(m.parse_to_worker(raw), m.Resync)
    for parse in (m.parse_to_bot, m.parse_to_worker):
        with pytest.raises(ValidationError):
            parse({"t": "tomorrow"})
        with pytest.raises(ValidationError):
            parse({})


@pytest.mark.parametrize("job", ["", "../a", "a/b", "a b", "a*", "a.1", "a" * 26, "ä", "a\n"])
def test_job_ids_that_could_be_more_than_a_name_are_refused(job):
    with pytest.raises(ValidationError):
        m.Cancelled(job=job, attempt=1)
    with pytest.raises(ValidationError):
        m.Running(job=job, attempt=1)


def test_a_saved_model_comes_with_its_file_and_no_other_is_let_in():
    saved = m.SavedModel(name="mychar-000002", epoch=2, step=40, loss=0.1)
    output = m.Output(blob="a.1.k0.safetensors", size_bytes=m.MODEL_BYTES_MAX, sha256="0" * 64, mime=MODEL_MIME,
                      width=0, height=0, seed=0, infotext="")  # fmt: skip
    part = m.Partial(job="a", attempt=1, n=0, outputs=(output,), file=saved)
    assert m.parse_to_bot(unpack(pack(part))) == part
    for wrong in (
        (),
        (output.model_copy(update={"mime": "image/png"}),),
        (output.model_copy(update={"size_bytes": m.MODEL_BYTES_MAX + 1}),),
    ):
        with pytest.raises(ValidationError):
            m.Partial(job="a", attempt=1, n=0, outputs=wrong, file=saved)


def test_every_file_of_an_attempt_is_found_by_its_glob_and_no_other(tmp_path):
    mine = {fin_name("a1", 1), output_name("a1", 1, 0, ".png"), output_name("a1", 1, 3, ".png") + ".part"}
    others = {fin_name("a1", 11), fin_name("a", 1), fin_name("xa1", 1), output_name("a1", 2, 0, ".png")}
    for name in mine | others:
        (tmp_path / name).touch()
    assert {path.name for path in tmp_path.glob(owned_names("a1", 1))} == mine


@pytest.mark.parametrize("hb_s", [0, -1])
def test_heartbeat_rate_must_be_positive(hb_s):
    with pytest.raises(ValidationError):
        m.Welcome(hb_s=hb_s)


def test_protocol_loads_without_anything_heavy():
    code = (
        "import sys\n"
        "for name in ('torch', 'numpy', 'diffusers', 'PIL'): sys.modules[name] = None\n"
        "import gpu_worker.protocol.messages, gpu_worker.protocol.frames, gpu_worker.protocol.outbox\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
