"""Which files a job reads: what it names, and what an engine takes by itself."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bot.dispatch.needs import HASH_WAIT_S, ModelNeeds, NeededFile, NotHashedError
from bot.library import LibraryFile
from gpu_worker.protocol.messages import ModelFact, ModelRef
from gpu_worker.protocol.specs import (
    BakedLora,
    BakeSpec,
    ConvertSpec,
    Describe,
    DetailFix,
    FaceRestore,
    Hires,
    ImageRef,
    Img2Img,
    Mask,
    MergeSpec,
    Refiner,
    RenderedSource,
    Sheet,
    Txt2Img,
    Upscale,
)

PICTURE = ImageRef(ref="0" * 64, sha256="0" * 64, mime="image/png", size_bytes=1)


@dataclass
class Shelf:
    """A library of files on the disk, with or without hashes."""

    folder: Path
    rows: dict[tuple[str, str], LibraryFile] = field(default_factory=dict)

    def add(self, kind, name, *, suffix=".safetensors", hashed=True, where=None, content=None, **more) -> LibraryFile:
        path = where or self.folder / f"{name}{suffix}"
        content = content or f"{kind} {name}".encode()
        path.write_bytes(content)
        values = dict.fromkeys(LibraryFile.__dataclass_fields__) | {
            "id": f"{len(self.rows):010}", "kind": kind, "name": name, "path": path, "read_only": False,
            "guessed": False, "size_bytes": len(content), "metadata": {}, "trigger_words": (), "added_at": 0.0,
            "times_used": 0, "sha256": hashlib.sha256(content).hexdigest() if hashed else None,
        }  # fmt: skip
        self.rows[kind, name] = LibraryFile(**(values | more))
        return self.rows[kind, name]

    def files(self, kind=None):
        return tuple(file for file in self.rows.values() if kind in (None, file.kind))

    def facts(self):
        return tuple(
            ModelFact(kind=f.kind, name=f.name, alias=f.alias, variant=f.variant, problem=f.problem)
            for f in self.rows.values()
        )

    def find(self, kind, name):
        aliases = (f for f in self.rows.values() if f.kind == kind and f.alias == name)
        return self.rows.get((kind, name)) or next(aliases, None)


@pytest.fixture
def shelf(tmp_path) -> Shelf:
    shelf = Shelf(tmp_path)
    shelf.add("checkpoint", "c")
    return shelf


def drawing(prompt: str = "p", **more) -> Txt2Img:
    return Txt2Img(**{"prompt": prompt, "checkpoint": "c", "width": 64, "height": 64, "seed": 1, **more})


async def names(shelf: Shelf, task) -> set[str]:
    return {f"{needed.ref.kind} {needed.ref.name}{needed.ref.suffix}" for needed in await ModelNeeds(shelf).of(task)}


async def test_what_a_drawing_names(shelf):
    for kind, name in (("vae", "v"), ("lora", "brush"), ("lora", "other"), ("embedding", "sunset"), ("upscaler", "up"),
                       ("checkpoint", "second"), ("detector", "hands"), ("lora", "unused")):  # fmt: skip
        shelf.add(kind, name)
    spec = drawing(
        "a boat <lora:brush:0.5> at sunset", negative_prompt="<lora:other:1>", vae="v",
        hires=Hires(upscaler="up"), refiner=Refiner(checkpoint="second"), details=(DetailFix(model="hands"),),
    )  # fmt: skip
    assert await names(shelf, spec) == {
        "checkpoint c.safetensors", "vae v.safetensors", "lora brush.safetensors", "lora other.safetensors",
        "embedding sunset.safetensors", "upscaler up.safetensors", "checkpoint second.safetensors",
        "detector hands.safetensors",
    }  # fmt: skip


async def test_a_lora_by_its_alias_goes_under_its_name(shelf):
    shelf.add("lora", "file name", alias="brush")
    assert "lora file name.safetensors" in await names(shelf, drawing("<lora:brush:1>"))


async def test_each_ref_is_that_of_the_file_on_the_disk(shelf):
    (needed,) = await ModelNeeds(shelf, source=lambda file: f"https://a.example/{file.name}").of(drawing())
    content = needed.path.read_bytes()
    assert needed.ref.sha256 == hashlib.sha256(content).hexdigest()
    assert (needed.ref.size_bytes, needed.ref.source) == (len(content), "https://a.example/c")


async def test_a_vae_that_is_taken_by_itself(shelf):
    shelf.add("vae", "c.vae", suffix=".pt")
    assert "vae c.vae.pt" in await names(shelf, drawing())
    assert "vae c.vae.pt" not in await names(shelf, drawing(vae="None"))


async def test_networks_for_faces(shelf):
    for name in ("GFPGANv1.4", "codeformer-v0.1.0", "detection_Resnet50_Final", "parsing_parsenet"):
        shelf.add("face", name, suffix=".pth")
    shared = {"face detection_Resnet50_Final.pth", "face parsing_parsenet.pth"}
    assert (await names(shelf, drawing(face_restore=FaceRestore(model="GFPGAN")))) >= {"face GFPGANv1.4.pth", *shared}
    both = Upscale(image=PICTURE, gfpgan_visibility=1, codeformer_visibility=0.5)
    assert await names(shelf, both) == {"face GFPGANv1.4.pth", "face codeformer-v0.1.0.pth", *shared}
    finder = await names(shelf, drawing(details=(DetailFix(model="retinaface"),)))
    assert finder == {"checkpoint c.safetensors", *shared}


async def test_what_lies_beside_a_model_for_it(shelf, tmp_path):
    (tmp_path / "c.yaml").write_text("model:")
    assert await names(shelf, drawing()) == {"checkpoint c.safetensors", "checkpoint c.yaml"}
    folder = tmp_path / "wd"
    folder.mkdir()
    shelf.add("tagger", "wd", where=folder / "model.onnx")
    (folder / "selected_tags.csv").write_text("tag_id,name\n")
    assert await names(shelf, Describe(image=PICTURE, tagger="wd")) == {"tagger wd.onnx", "tagger wd.csv"}


async def test_work_on_files_and_sheets(shelf):
    for kind, name in (("checkpoint", "b"), ("lora", "brush"), ("vae", "v")):
        shelf.add(kind, name)
    c, b, brush, v = (f"{name}.safetensors" for name in ("checkpoint c", "checkpoint b", "lora brush", "vae v"))
    assert await names(shelf, MergeSpec(output="o", first="c", second="b", vae="v")) == {c, b, v}
    assert await names(shelf, ConvertSpec(output="o", model="brush", model_kind="lora")) == {brush}
    assert await names(shelf, BakeSpec(output="o", checkpoint="c", loras=(BakedLora(name="brush"),))) == {c, brush}
    cells = drawing(), drawing("<lora:brush:1>")
    assert await names(shelf, Sheet(cells=cells)) == {c, brush}


async def test_a_first_pass_that_is_drawn_again_needs_its_own_models(shelf):
    shelf.add("checkpoint", "then")
    again = RenderedSource(spec=drawing(checkpoint="then"))
    assert "checkpoint then.safetensors" in await names(shelf, drawing(hires=Hires(source=again)))


async def test_what_a_training_saved_is_in_no_library(shelf, tmp_path):
    ref = ModelRef(kind="lora", name="zorb-000002", sha256="1" * 64, size_bytes=5)

    async def saved(name: str) -> NeededFile | None:
        return NeededFile(ref, tmp_path / "zorb") if name == ref.name else None

    needed = await ModelNeeds(shelf, saved=saved).of(drawing("<lora:zorb-000002:1> <lora:unknown:1>"))
    assert ref in {one.ref for one in needed}


async def test_a_file_without_a_hash_is_waited_for_but_not_for_ever(shelf):
    shelf.add("lora", "new", hashed=False)
    now = [0.0]
    needs = ModelNeeds(shelf, clock=lambda: now[0])
    with pytest.raises(NotHashedError):
        await needs.of(drawing("<lora:new:1>"))
    now[0] = HASH_WAIT_S + 1
    assert [needed.ref.kind for needed in await needs.of(drawing("<lora:new:1>"))] == ["checkpoint"]


async def test_what_cannot_travel_is_not_offered(shelf, tmp_path):
    (tmp_path / "folder").mkdir()
    shelf.add("checkpoint", "folder", where=tmp_path / "folder" / "x", size_bytes=10)
    shelf.rows["checkpoint", "folder"] = shelf.add("checkpoint", "folder", where=tmp_path / "folder" / "y")
    shelf.add("checkpoint", "d (a/b)", where=tmp_path / "d.safetensors")
    shelf.add("checkpoint", "broken", problem="corrupt")
    needs = ModelNeeds(shelf)
    assert [fact.name for fact in needs.facts()] == ["c"]
    assert all(needs.checkpoint(name) is None for name in ("folder", "d (a/b)", "broken", "unknown"))
    assert not needs.is_coming("folder")


async def test_a_name_means_the_same_bytes_or_is_another_model(shelf):
    needs = ModelNeeds(shelf)
    ours = shelf.rows["checkpoint", "c"].sha256
    assert needs.agrees(ModelFact(kind="checkpoint", name="c", sha256=ours))
    assert needs.agrees(ModelFact(kind="checkpoint", name="c"))
    assert not needs.agrees(ModelFact(kind="checkpoint", name="c", sha256="f" * 64))
    assert not needs.agrees(ModelFact(kind="checkpoint", name="gone"))


@pytest.mark.parametrize("text", ["worst, Sun-Set 5.", "(sun-set 5:1.2)x", "unsun-set 5", "[SUN-SET 5|b]"])
async def test_an_embedding_that_an_engine_might_read_in_a_word(shelf, text):
    shelf.add("embedding", "sun-set 5")
    shelf.add("embedding", "moon")
    found = {"checkpoint c.safetensors", "embedding sun-set 5.safetensors"}
    assert await names(shelf, drawing(negative_prompt=text)) == found
    mask = Mask(image=PICTURE, prompt=text)
    inpainting = Img2Img(prompt="p", checkpoint="c", width=64, height=64, seed=1, image=PICTURE, mask=mask)
    assert await names(shelf, inpainting) == found


async def test_a_name_of_signs_alone_is_looked_for_as_it_is(shelf):
    shelf.add("embedding", "!-!")
    assert "embedding !-!.safetensors" in await names(shelf, drawing("a !-! b"))
    assert "embedding !-!.safetensors" not in await names(shelf, drawing("a ! b"))
