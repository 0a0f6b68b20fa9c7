"""The text that the bot writes anew is the one that an honest worker wrote, to the letter, and never a liar's."""

import hashlib
import subprocess
import sys

import pytest

from bot.inspection.expected import expected_pictures, how_many
from bot.inspection.texts import _names_and_hashes
from gpu_worker.engine.images.record import Record, map_infotext, picture_infotext, upscale_infotext
from gpu_worker.engine.sampling.noise import image_seeds
from gpu_worker.language.infotext import parse_infotext
from gpu_worker.language.names import resolve_sampler
from gpu_worker.language.pictures import picture_spec
from gpu_worker.protocol.specs import (
    ControlUnit,
    DetailFix,
    FaceRestore,
    Hires,
    ImagePrompt,
    ImagePrompts,
    ImageRef,
    Img2Img,
    Mask,
    Preprocess,
    Refiner,
    Sheet,
    StoredSource,
    Template,
    Texts,
    Txt2Img,
    Ultimate,
    Upscale,
    Variation,
)

SHA = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(9)]
REF = ImageRef(ref="image:x", sha256=SHA[0], mime="image/png", size_bytes=9)


def txt(**fields):
    return Txt2Img(**{"prompt": "a (red:1.2) apple, <lora:Ink:0.7> easyneg", "checkpoint": "Toy", "width": 128,
                      "height": 64, "seed": 5, "negative_prompt": "bad: worse, \"worst\"", **fields})  # fmt: skip


def img(**fields):
    return Img2Img(**{"prompt": "größer 二", "checkpoint": "Toy", "width": 128, "height": 64, "seed": 5, "image": REF,
                      **fields})  # fmt: skip


DRAWINGS = [
    (txt(), {}),
    (txt(count=3, sampler="k_euler_a", schedule="Karras", clip_skip=2, ensd=31337, tiling=True), {}),
    (txt(count=2, variations=(Variation(seed=1, strength=0.1), Variation(seed=9, strength=0.5))), {}),
    (txt(count=2, variations=(Variation(seed=9, strength=0.5),)), {}),
    (txt(count=2, texts=(Texts(prompt="one"), Texts(prompt="two, <lora:Ink:1>", negative_prompt="n")),
         template=Template(prompt="{one|two}")), {}),
    (txt(), {"lora_hashes": (("Ink", SHA[1]),), "embedding_hashes": (("EasyNeg", SHA[2]),)}),
    (txt(prompt="<lora:a, b: c:1>"), {"lora_hashes": (("a, b: c", SHA[1]),)}),
    (txt(), {"vae": ("Toy.vae.pt", SHA[3])}),
    (txt(vae="Vivid"), {"vae": ("Vivid.safetensors", SHA[3])}),
    (txt(vae="None"), {}),
    (txt(hires=Hires(scale=1.5, checkpoint="Other", sampler="Euler", schedule="Karras", prompt="p", tile_px=512)),
     {"hires_checkpoint_hash": SHA[4]}),
    (txt(refiner=Refiner(checkpoint="Fine"), face_restore=FaceRestore(visibility=0.5)), {"refiner_hash": SHA[5]}),
    (txt(hires=Hires(source=StoredSource(image=REF))), {"source_size": (128, 64)}),
    (txt(hires=Hires(source=StoredSource(image=REF))), {"source_size": (100, 64)}),
    (txt(control=(ControlUnit(model="canny, v1", image=REF), ControlUnit(model="Depth", image=REF))),
     {"control_models": ("canny, v1 [0123abcd]", "depth [fedcba98]")}),
    (txt(details=(DetailFix(model="retinaface", prompt="face, <lora:Ink:1>"),)), {"lora_hashes": (("Ink", SHA[1]),)}),
    (txt(image_prompts=ImagePrompts(adapter="ip", pictures=(ImagePrompt(image=REF),))), {}),
    (img(), {}),
    (img(mask=Mask(image=REF, only_masked=True), mask_weight=0.5), {"inpainting": True}),
    (img(mask=Mask(image=REF)), {"inpainting": True}),
    (img(image_cfg_scale=1.5), {"edits": True}),
    (img(details_only=True, details=(DetailFix(model="retinaface"),)), {}),
    (txt(eta=0.3, s_churn=2, ngms=1.5, sigma_max=12, emphasis="No norm", noise_source="CPU", seed_resize=(64, 64)), {}),
]  # fmt: skip


def honest(spec, found, tiled=None):
    record = Record(
        spec=spec, sampler=resolve_sampler(spec.sampler, spec.schedule), model_hash=SHA[8], model_name="toy",
        **found, tiled=tiled,
    )  # fmt: skip
    return [picture_infotext(record, seed) for seed in image_seeds(spec)]


@pytest.mark.parametrize(("spec", "found"), DRAWINGS)
def test_what_an_honest_worker_wrote_stays_to_the_letter(spec, found):
    if spec.texts:
        said = [text for n in range(spec.count) for text in honest(picture_spec(spec, n), found)]
    else:
        said = honest(spec, found)
    expected = expected_pictures(spec, said)
    assert how_many(spec) == len(expected)
    assert [one.infotext for one in expected] == said
    assert [one.texts for one in expected] == [{"parameters": text} for text in said]
    seeds = image_seeds(spec)
    assert [one.seed for one in expected] == [seed.seed for seed in seeds]
    assert [one.variation_seed for one in expected] == [
        seed.variations[-1].seed if seed.variations else None for seed in seeds
    ]


@pytest.mark.parametrize("spec", [spec for spec, _ in DRAWINGS])
@pytest.mark.parametrize(
    "lie",
    [
        "", "something else entirely", "rude\nNegative prompt: rude\nSteps: 99, Sampler: rude, Seed: 7, Size: 1x1",
        ('x\nSteps: 20, Model: rude, '
         'Model hash: rude, VAE: rude.pt, VAE hash: rude, Lora hashes: "rude: 0123456789ab", '
        'TI hashes: "rude: 0123456789ab", Init image hash: rude, Rude: rude, Version: rude, Hires checkpoint: rude, '
        'Refiner: rude, ControlNet 0: "Model: rude [01234567], Weight: 1", Conditional mask weight: rude'),
    ],
)  # fmt: skip
def test_nobody_puts_words_into_a_picture(spec, lie):
    for one in expected_pictures(spec, [lie] * spec.count):
        assert "rude" not in str(one.texts).casefold()
        read = parse_infotext(one.infotext)
        own = [picture_spec(spec, n) for n in range(spec.count)]
        assert (read.prompt, read.negative_prompt) in [(each.prompt, each.negative_prompt) for each in own]
        assert read.fields["Steps"] == "20"
        assert read.fields["Model"] == "Toy"


def test_sizes_are_those_that_were_asked_for_where_the_job_says_them():
    asked = [
        (txt(), (128, 64)), (txt(hires=Hires(scale=1.5)), (192, 96)),
        (txt(hires=Hires(resize_width=200, resize_height=200)), (200, 200)),
        (txt(hires=Hires(source=StoredSource(image=REF))), None),
        (img(), (128, 64)), (img(mask=Mask(image=REF)), (128, 64)), (img(details_only=True), None),
        (img(mask=Mask(image=REF, only_masked=True)), None),
    ]  # fmt: skip
    assert [expected_pictures(spec, [""])[0].size for spec, _ in asked] == [size for _, size in asked]


def test_tiles_maps_and_enlarged_pictures_have_their_own_texts():
    tiled = Ultimate(drawing=img(), width=300, height=200, seams="band pass")
    said = honest(tiled.drawing, {}, tiled) * 2
    expected = expected_pictures(tiled, said)
    assert how_many(tiled) == 2
    assert [(one.infotext, one.size) for one in expected] == [(said[0], (300, 200))] * 2

    maps = Preprocess(
        image=REF, preprocessor="canny", width=128, height=64, fit=True, seed=4,
        others=(Preprocess(image=REF, preprocessor="depth_midas", threshold_a=3),),
    )  # fmt: skip
    said = [map_infotext(each) for each in maps.maps]
    expected = expected_pictures(maps, said)
    assert [one.texts for one in expected] == [{"parameters": "", "extras": text} for text in said]
    assert [(one.seed, one.size) for one in expected] == [(4, (128, 64)), (0, None)]

    enlarged = Upscale(image=REF, scale=2, upscaler="Lanczos")
    (own,) = expected_pictures(enlarged, ["rude\nSteps: 1"], "a cat\nSteps: 20, Seed: 1, Size: 8x8")
    assert (own.infotext, own.texts["parameters"]) == ("a cat\nSteps: 20, Seed: 1, Size: 8x8",) * 2
    (bare,) = expected_pictures(enlarged, [upscale_infotext(enlarged)])
    assert bare.infotext == bare.texts["extras"] == upscale_infotext(enlarged)


def test_each_cell_of_a_sheet_is_its_own():
    sheet = Sheet(cells=(txt(seed=1), txt(seed=2, prompt="other")))
    expected = expected_pictures(sheet, [honest(sheet.cells[0], {})[0], "rude"])
    assert [(one.seed, parse_infotext(one.infotext).prompt) for one in expected] == [
        (1, sheet.cells[0].prompt), (2, "other"),
    ]  # fmt: skip
    assert "rude" not in expected[1].infotext


_HOSTILE = """
from bot.inspection.texts import drawing_text
from gpu_worker.protocol.specs import Txt2Img

n, spec = 100_000, Txt2Img(prompt="x <lora:aa:1>", checkpoint="m", seed=1, width=64, height=64)
for hostile in (
    'Lora hashes: "' + "a" * n + '"',
    "Lora hashes: " + "a" * n,
    'TI hashes: "' + ": 1234567" * (n // 9) + '"',
    'ControlNet 0: "' + "Model:  [aaaaaaaa" * (n // 17) + '"',
):
    assert drawing_text(spec, "x\\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 1, " + hostile).startswith("x")
"""


def test_no_text_of_a_machine_keeps_the_bot_busy():
    # It took minutes, with the whole process held meanwhile.
    subprocess.run([sys.executable, "-c", _HOSTILE], check=True, timeout=60)


def test_hashes_go_with_names_that_hold_what_stands_between():
    said = "a, b: 11111111, c: 2222222222, none, d: zz, e: f: 33333333"
    assert list(_names_and_hashes(said)) == [
        ("a, b", "11111111"), ("c", "2222222222"), ("none, d: zz, e: f", "33333333"),
    ]  # fmt: skip
