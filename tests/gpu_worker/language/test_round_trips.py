"""What is written is read back as it was: prompts, tags, infotexts, and every parameter of a drawing."""

import math

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from gpu_worker.language.attention import BREAK, format_attention, parse_attention
from gpu_worker.language.infotext import build_infotext, lossless, parse_generation_parameters, parse_infotext
from gpu_worker.language.names import SAMPLERS, SCHEDULES, SamplerChoice, resolve_sampler
from gpu_worker.language.networks import LoraRef, parse_networks, parse_networks_of_batch, resolve_networks
from gpu_worker.language.parameters import drawing_from_infotext
from gpu_worker.language.picture_fields import DrawnWith, picture_fields
from gpu_worker.language.schedule import prompt_schedule, split_and, text_at
from gpu_worker.protocol.specs import DetailFix, ImageRef, Img2Img, Region, Regions, Txt2Img

syntax = st.text(
    alphabet=st.sampled_from("ab ()[]:\\.0123456789+-<>lora,=|BREAKND\n\"'") | st.characters(), max_size=80
)
grammar = st.lists(
    st.sampled_from(["a", " ", "[", "]", "(", ")", ":", "|", "5", ".5", "\\", "[b:c:2]", "[b|c]", ":3]", "AND"]),
    max_size=20,
).map("".join)  # fmt: skip
prompts = syntax | grammar


def without_empty_texts(parts):
    """Neighbours that only an empty text of another weight kept apart are one."""
    kept = []
    for text, weight in parts:
        if text and kept and kept[-1][1] == weight:
            kept[-1] = (kept[-1][0] + text, weight)
        elif text:
            kept.append((text, weight))
    return kept


@given(prompts)
@example("a \\ BREAK b")
@example("BR(EAK:1) (BREAK:-1) (a BREAK b:1.3)")
def test_a_printed_prompt_reads_the_same(prompt):
    parsed = parse_attention(prompt)
    assume(all(math.isfinite(weight) for _, weight in parsed))
    printed = format_attention(parsed)
    assert without_empty_texts(parse_attention(printed)) == without_empty_texts(parsed)
    assert format_attention(parse_attention(printed)) == printed


def test_a_printed_prompt_is_plain_where_it_can_be():
    assert format_attention(parse_attention("a (red:1.3) \\(hat\\)")) == "a (red:1.3) \\(hat\\)"
    assert format_attention([("a", 1.0), BREAK, ("b", 0.5)]) == "a\\BREAK\\(b:0.5)"


@given(prompts, st.integers(1, 40), st.none() | st.integers(1, 40), st.booleans())
def test_any_prompt_has_a_schedule(prompt, steps, hires, old):
    schedule = prompt_schedule(prompt, steps, hires, old=old)
    ends = [end for end, _ in schedule]
    assert ends == sorted(set(ends))
    assert ends[-1] == (hires if hires is not None and not old else steps)
    assert text_at(schedule, 0) == schedule[0][1]
    assert text_at(schedule, 1000) == schedule[-1][1]
    plain = prompt.replace("[", "").replace("|", "").replace("\\", "")
    assert prompt_schedule(plain, steps) == ((steps, plain),)


@given(prompts)
def test_any_prompt_splits_at_its_ands(prompt):
    parts = split_and(prompt)
    again = split_and(" AND".join(f"{text}:{weight:f}" for text, weight in parts))
    assert [weight for _, weight in again] == pytest.approx([weight for _, weight in parts], abs=1e-6)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 10_000, "(" * 10_000 + "]" * 10_000, "[a:" * 10_000 + ":5]" * 10_000,
        "[a:" * 10_000 + "b" + ":5]" * 10_000,
        "(a" * 10_000 + ")" * 10_000, "[a|" * 10_000 + "b]" * 10_000, ":" * 100_000, "[a|b]" * 10_000, " " * 50_000,
        "a : " * 20_000, " AND" * 20_000, "\\" * 50_001, "((" * 5_000 + "[a:b:5]" + "))" * 5_000,
    ],
    ids=lambda text: text[:8],
)  # fmt: skip
def test_no_nesting_is_too_deep_and_nothing_takes_long(text):
    assert prompt_schedule(text, 40)
    assert split_and(text)
    assert parse_networks(text)
    assert parse_infotext(text)


@given(st.lists(st.tuples(st.text(max_size=5), st.none() | st.text(max_size=5)), max_size=6), syntax)
def test_any_networks_resolve(names, prompt):
    refs = [LoraRef(name) for name, _ in names] + [LoraRef(prompt)]
    found, missing = resolve_networks(refs, names)
    assert len(found) + len(missing) == len(refs)
    assert all(ref.name in names[index] for index, ref in found)
    parse_networks_of_batch([prompt, prompt])


@given(syntax, st.text(max_size=30))
def test_a_tag_printed_is_the_tag(text, name):
    assume(not set(name) & set("<>:") and name)
    _, tags = parse_networks(f"{text}<lora:{name}:1>")
    assume(tags)
    printed = "".join(f"<{tag.kind}:{':'.join(tag.items)}>" for tag in tags)
    assert parse_networks(printed) == ("", tags)


@given(st.text(max_size=60) | syntax, st.text(max_size=60))
def test_a_value_written_losslessly_comes_back(value, prompt):
    line = build_infotext("", "", {"Steps": 1, "Sampler": "x", "Some key": lossless("Some key", value), "Seed": 1})
    fields = parse_infotext(line).fields
    back = fields.get("Some key")
    assert (f"{fields['Some key-1']}x{fields['Some key-2']}" if back is None else back) == value


lines = st.text(st.characters(exclude_characters="\n"), max_size=30).map(str.strip)
texts = st.lists(lines, max_size=3).map(lambda found: "\n".join(line for line in found if line))


@given(texts, texts, st.integers(0, 2**64 - 1))
def test_prompts_come_back(prompt, negative, seed):
    assume("Negative prompt:" not in prompt + negative)
    info = parse_infotext(build_infotext(prompt, negative, {"Steps": 20, "Sampler": "Euler", "Seed": seed}))
    assert (info.prompt, info.negative_prompt) == (prompt, negative)
    assert info.fields == {"Steps": "20", "Sampler": "Euler", "Seed": str(seed)}


@given(syntax | st.text())
def test_reading_parameters_never_raises(text):
    for given_text in (text, f"a\nSteps: {text}, Sampler: Euler, Seed: {text}, Size: {text}, Hires upscale: {text}"):
        values, _ = drawing_from_infotext(parse_generation_parameters(given_text), "m")
        if values["kind"] == "txt2img":
            Txt2Img(**{"width": 64, "height": 64, "seed": 0} | values)


names = st.text(min_size=1, max_size=20).filter(lambda name: not name.endswith("]")) | st.sampled_from(
    ["512x768", "a, b", '"q"', "Model", " x ", "a: b", "日本", "None.pt", "sd15"]
)
labels = [(s, c) for s in SAMPLERS for c in SCHEDULES if resolve_sampler(s, c) == SamplerChoice(s, c)]
ranges = {
    "steps": st.integers(1, 150), "cfg_scale": st.floats(1, 30), "clip_skip": st.integers(1, 12),
    "ensd": st.integers(-(2**32), 2**32), "noise_source": st.sampled_from(["GPU", "CPU", "NV"]),
    "old_prompt_editing": st.booleans(), "tiling": st.booleans(), "ngms": st.floats(0, 15),
    "eta": st.none() | st.floats(0, 1), "s_churn": st.floats(0, 100), "s_tmin": st.floats(0, 100),
    "s_tmax": st.floats(0, 1000), "s_noise": st.floats(0, 2), "sigma_min": st.floats(0, 100),
    "sigma_max": st.floats(0, 1000), "rho": st.floats(0, 100), "discard_penultimate": st.booleans(),
    "zero_terminal_snr": st.booleans(), "downcast_alphas": st.booleans(),
    "vae": st.just("None") | st.just("Automatic") | names,
    "emphasis": st.sampled_from(["Original", "No norm", "Ignore", "None"]),
    "seed_resize": st.none() | st.tuples(st.integers(8, 2048), st.integers(8, 2048)),
    "variations": st.lists(
        st.fixed_dictionaries({
            "seed": st.integers(0, 2**64 - 1), "strength": st.floats(0, 1, exclude_min=True)
        }), max_size=4,
    ),
    "face_restore": st.none() | st.fixed_dictionaries({}, optional={
        "model": st.sampled_from(["GFPGAN", "CodeFormer"]), "visibility": st.floats(0, 1), "weight": st.floats(0, 1),
    }),
    "refiner": st.none() | st.fixed_dictionaries({"checkpoint": names, "switch_at": st.floats(0, 1)}),
}  # fmt: skip
sides = st.tuples(st.integers(8, 256), st.integers(8, 256)).map(lambda size: (size[0] * 8, size[1] * 8))
units = st.fixed_dictionaries({"model": st.sampled_from(["retinaface", "face_yolov8n", "a, b"])}, optional={
    "classes": st.sampled_from(["cat", "cat, 1"]), "confidence": st.floats(0, 1), "only_k": st.integers(0, 32),
    "prompt": st.sampled_from(["a (cat:1.2)", "[SKIP] [SEP] x, y: z"]), "negative_prompt": st.just("bad"),
    "most": st.integers(1, 32), "min_ratio": st.floats(0, 0.5), "max_ratio": st.floats(0.5, 1),
    "sort": st.sampled_from(["None", "Position (left to right)", "Area (large to small)"]),
    "x_offset": st.integers(-200, 200), "y_offset": st.integers(-200, 200), "dilate": st.integers(-128, 128),
    "merge": st.sampled_from(["None", "Merge", "Merge and Invert"]), "mask_blur": st.integers(0, 64),
    "denoising_strength": st.floats(0, 1), "steps": st.integers(0, 150),
    "cfg_scale": st.none() | st.floats(1, 30),
    "sampler": st.none() | st.just("Euler a"), "schedule": st.none() | st.just("Karras"),
}).flatmap(lambda made: st.one_of(
    st.just(made), sides.map(lambda size: made | {"width": size[0], "height": size[1]}),
    st.just(made | {"only_masked": False}), st.integers(0, 256).map(lambda px: made | {"padding_px": px}),
)).map(lambda made: DetailFix(**made))  # fmt: skip
ranges["details"] = st.lists(units, max_size=4).map(tuple)
cells = st.floats(0, 1000).map(lambda cell: round(cell, 9)) | st.integers(0, 16).map(float)
areas = st.fixed_dictionaries({}, optional={
    "rows": st.integers(1, 12).map(float) | st.floats(0.001, 1000).map(lambda rows: round(rows, 9)),
    "columns": st.integers(1, 12).map(float), "top": cells, "bottom": cells, "left": cells, "right": cells,
    "weight": st.floats(-10, 10).map(lambda weight: round(weight, 9)),
}).map(lambda made: Region(**made))  # fmt: skip
ranges["regions"] = st.none() | st.builds(
    Regions,
    areas=st.lists(areas, min_size=1, max_size=16).map(tuple),
    end_step=st.integers(1, 150),
    loras_apart=st.booleans(),
)
required = {
    "prompt": st.just("a (cat:1.2)"), "negative_prompt": st.sampled_from(["", "bad"]), "checkpoint": names,
    "width": st.integers(8, 256).map(lambda n: n * 8), "height": st.integers(8, 256).map(lambda n: n * 8),
    "seed": st.integers(0, 2**64 - 1),
}  # fmt: skip
hires = st.fixed_dictionaries({}, optional={
    "upscaler": names, "steps": st.integers(0, 150), "denoising_strength": st.floats(0, 1, exclude_min=True),
    "sampler": st.none() | st.sampled_from(["DPM++ 2M Karras", "LCM"]),
    "schedule": st.none() | st.sampled_from(SCHEDULES),
    "checkpoint": st.none() | names, "prompt": st.none() | st.text(min_size=1), "negative_prompt": st.none() | names,
}).flatmap(lambda made: st.one_of(
    st.floats(1, 4).map(lambda scale: made | {"scale": scale}),
    st.tuples(st.integers(0, 4096), st.integers(1, 4096)).map(
        lambda size: made | {"resize_width": size[0], "resize_height": size[1]}
    ),
))  # fmt: skip
IMAGE = ImageRef(ref="r", sha256="ab" * 32, mime="image/png", size_bytes=1)
pictures = {
    "denoising_strength": st.floats(0, 1), "exact_steps": st.booleans(), "color_correction": st.booleans(),
    "resize_mode": st.sampled_from(["Just resize", "Resize and fill", "Just resize (latent upscale)"]),
    "mask_weight": st.floats(0, 1), "image_cfg_scale": st.floats(0, 10), "noise_multiplier": st.floats(0, 1.5),
    "extra_noise": st.floats(0, 1),
    "mask": st.none() | st.fixed_dictionaries({"image": st.just(IMAGE)}, optional={
        "blur": st.integers(0, 64), "invert": st.booleans(), "only_masked": st.booleans(),
        "content": st.sampled_from(["fill", "original", "latent noise", "latent nothing"]),
        "padding_px": st.integers(0, 256),
    }),
    "extend": st.none() | st.fixed_dictionaries(
        {side: st.integers(0, 2048) for side in ("left", "right", "top", "bottom")}
    ),
}  # fmt: skip


def written(spec):
    vae = (spec.vae, "cd" * 32) if spec.vae not in ("None", "Automatic") else None
    found = DrawnWith(SamplerChoice(spec.sampler, spec.schedule), spec.checkpoint, "ef" * 32, vae)
    fields = picture_fields(spec, spec.seed, spec.variations, found)
    return build_infotext(spec.prompt, spec.negative_prompt, fields | {"Version": "Pincel 1.0"})


def read(text):
    values, notes = drawing_from_infotext(parse_generation_parameters(text), "another")
    if values["kind"] == "txt2img":
        return Txt2Img(**values), notes
    if "mask" in values:
        values["mask"]["image"] = IMAGE
    return Img2Img(image=IMAGE, **values), notes


@given(
    st.fixed_dictionaries(required, optional=ranges), st.sampled_from(labels), st.none() | hires,
)  # fmt: skip
def test_every_parameter_of_txt2img_comes_back(values, label, second):
    assume(not second or second.get("sampler") != label[0])  # no word of it: the same either way
    spec = Txt2Img(**values, sampler=label[0], schedule=label[1], hires=second)
    back, notes = read(written(spec))
    differing = {name: (getattr(back, name), value) for name, value in spec if getattr(back, name) != value}
    assert differing == {}
    assert notes == []


@given(st.fixed_dictionaries(required, optional=ranges | pictures), st.sampled_from(labels))
def test_every_parameter_of_img2img_comes_back(values, label):
    spec = Img2Img(image=IMAGE, **values, sampler=label[0], schedule=label[1])
    back, notes = read(written(spec))
    differing = {name: (getattr(back, name), value) for name, value in spec if getattr(back, name) != value}
    assert differing == {}
    assert [note.reason for note in notes] == ["picture_needed"]


def test_the_round_trips_miss_no_parameter():
    left_out = {
        "sampler",
        "schedule",
        "count",
        "batch_size",
        "kind",
        "hires",
        "image",
        "texts",
        "template",
        "image_prompts",
        "control",
        "details_only",
    }
    assert set(Txt2Img.model_fields) | set(Img2Img.model_fields) == {*required, *ranges, *pictures, *left_out}
