"""Plots: what every axis does with a request, and what is refused with a sentence."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from bot.domain.limits import DEFAULT_LIMITS
from bot.domain.plots.axes import AXES, find_axis
from bot.domain.plots.build import AxisWish, PlotWishes, build_plot, recorded_axes
from bot.domain.plots.completing import axis_rows, value_rows
from bot.domain.scripts import Plot
from bot.domain.styles import Style
from bot.errors import UserFacingError
from bot.i18n import texts_for
from gpu_worker.language.plots import ValuesError, joined_values, read_values, recorded_plot, split_values
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import ControlUnit, Hires, ImageRef, Img2Img, Txt2Img, Variation

SHA = "0" * 64
GIVEN = ImageRef(ref="input:1", sha256=SHA, mime="image/png", size_bytes=9)
FACTS = (
    ModelFact(kind="checkpoint", name="demo", family="sd1", native_px=128),
    ModelFact(kind="checkpoint", name="second", family="sd1"),
    ModelFact(kind="checkpoint", name="large", family="sdxl"),
    ModelFact(kind="checkpoint", name="closed", family="sd1", problem="disabled"),
    ModelFact(kind="vae", name="clear", family="sd1"),
    ModelFact(kind="vae", name="large-vae", family="sdxl"),
    ModelFact(kind="upscaler", name="4x-sharp"),
    ModelFact(kind="lora", name="ink-000002", family="sd1"),
    ModelFact(kind="lora", name="ink-000004", family="sd1"),
    ModelFact(kind="controlnet", name="control_canny", family="sd1"),
    ModelFact(kind="controlnet", name="control_depth", family="sd1"),
    ModelFact(kind="face", name="codeformer-v0.1.0"),
    ModelFact(kind="face", name="GFPGANv1.4"),
    ModelFact(kind="face", name="detection_resnet50_Final"),
)
BASE = Txt2Img(prompt="a red cat, a hat", negative_prompt="bad cat", checkpoint="demo", width=128, height=128, seed=5)
WORN = BASE.model_copy(update={"prompt": "a cat <lora:ink-000004:0.5:0.4>, x"})
UNIT = ControlUnit(model="control_canny", image=GIVEN, preprocessor="canny")
RICH = BASE.model_copy(update={"hires": Hires(), "control": (UNIT,), "variations": (Variation(seed=3, strength=0.5),)})
PICTURE = Img2Img(prompt="a cat", checkpoint="demo", width=128, height=128, seed=5, image=GIVEN)


def plot(*axes, base=BASE, styles=None, **options):
    wishes = [AxisWish(*axis) for axis in axes] + [AxisWish()] * (3 - len(axes))
    return build_plot(
        base, PlotWishes(tuple(wishes), **options), facts=FACTS, limits=DEFAULT_LIMITS, rng=random.Random(1),
        styles=styles or {},
    )  # fmt: skip


def cells(*axes, **options):
    """In the order of their places."""
    made = plot(*axes, **options)
    return [cell.spec for cell in sorted(made.expanded().cells, key=lambda cell: cell.index)]


def refused(*axes, **options):
    with pytest.raises(UserFacingError) as error:
        plot(*axes, **options)
    for language in ("en", "es"):
        assert texts_for(language)(f"error.{error.value.key}", **error.value.values)
    return error.value


def of(name):
    def read(spec):
        for part in name.split("."):
            spec = spec[int(part)] if part.isdigit() else getattr(spec, part)
        return spec

    return read


STYLES = {"ink": [Style(name="ink", prompt="{prompt}, ink", negative_prompt="photo")], "": []}

EFFECTS = [
    ("Seed", "1-3", BASE, "seed", [1, 2, 3]),
    ("Var. seed", "1,2", RICH, "variations.0.seed", [1, 2]),
    ("Var. strength", "0.1,0.2", BASE, "variations.0.strength", [0.1, 0.2]),
    ("Steps", "10-30[3]", BASE, "steps", [10, 20, 30]),
    ("Hires steps", "0,5", RICH, "hires.steps", [0, 5]),
    ("CFG Scale", "1-2(+0.5)", BASE, "cfg_scale", [1.0, 1.5, 2.0]),
    ("Image CFG Scale", "1.5,3", PICTURE, "image_cfg_scale", [1.5, 3]),
    ("Prompt S/R", "red,blue", BASE, "prompt", ["a red cat, a hat", "a blue cat, a hat"]),
    ("Prompt order", "red,hat", BASE, "prompt", ["a red cat, a hat", "a hat cat, a red"]),
    ("Sampler", "euler a,DPM++ 2M SDE Karras", BASE, "sampler", ["Euler a", "DPM++ 2M SDE"]),
    ("Hires sampler", "Euler,Heun", RICH, "hires.sampler", ["Euler", "Heun"]),
    ("Checkpoint name", "demo,second.safetensors", BASE, "checkpoint", ["demo", "second"]),
    ("Negative Guidance minimum sigma", "0,2", BASE, "ngms", [0, 2]),
    ("Sigma Churn", "0,10", BASE, "s_churn", [0, 10]),
    ("Sigma min", "0,1", BASE, "s_tmin", [0, 1]),
    ("Sigma max", "0,9", BASE, "s_tmax", [0, 9]),
    ("Sigma noise", "1,1.01", BASE, "s_noise", [1, 1.01]),
    ("Schedule type", "karras,Simple", BASE, "schedule", ["Automatic", "Simple"]),
    ("Schedule min sigma", "0,0.1", BASE, "sigma_min", [0, 0.1]),
    ("Schedule max sigma", "0,10", BASE, "sigma_max", [0, 10]),
    ("Schedule rho", "5,7", BASE, "rho", [5, 7]),
    ("Eta", "0,1", BASE, "eta", [0, 1]),
    ("Clip skip", "1-2", BASE, "clip_skip", [1, 2]),
    ("Denoising", "0.2,0.4", RICH, "hires.denoising_strength", [0.2, 0.4]),
    ("Denoising", "0,1", PICTURE, "denoising_strength", [0, 1]),
    ("Initial noise multiplier", "1,1.1", PICTURE, "noise_multiplier", [1, 1.1]),
    ("Extra noise", "0,0.1", PICTURE, "extra_noise", [0, 0.1]),
    ("Hires upscale", "1.5,2", RICH, "hires.scale", [1.5, 2]),
    ("Hires upscaler", "lanczos,4x-sharp", RICH, "hires.upscaler", ["Lanczos", "4x-sharp"]),
    ("Cond. Image Mask Weight", "0,1", PICTURE, "mask_weight", [0, 1]),
    ("VAE", "auto,none,clear", BASE, "vae", ["Automatic", "None", "clear"]),
    ("Styles", '"",ink', BASE, "prompt", ["a red cat, a hat", "a red cat, a hat, ink"]),
    ("Styles", '"",ink', BASE, "negative_prompt", ["bad cat", "bad cat, photo"]),
    ("Face restore", "CodeFormer,gfpgan,yes", BASE, "face_restore.model", ["CodeFormer", "GFPGAN", "CodeFormer"]),
    ("Always discard next-to-last sigma", "false,True", BASE, "discard_penultimate", [False, True]),
    ("Refiner checkpoint", "second,demo", BASE, "refiner.checkpoint", ["second", "demo"]),
    ("RNG source", "GPU,cpu,NV", BASE, "noise_source", ["GPU", "CPU", "NV"]),
    ("Size", "128x64,64 X 128", BASE, "width", [128, 64]),
    ("Size", "128x64,64x128", BASE, "height", [64, 128]),
    ("Emphasis", "original,no norm", BASE, "emphasis", ["Original", "No norm"]),
    ("LoRA", "none,INK-000002", BASE, "prompt", ["a red cat, a hat", "a red cat, a hat <lora:ink-000002:1>"]),
    ("LoRA", "None,ink-000002", WORN, "prompt", ["a cat , x", "a cat <lora:ink-000002:0.5:0.4>, x"]),
    ("LoRA weight", "0,0.75", WORN, "prompt", ["a cat <lora:ink-000004:0>, x", "a cat <lora:ink-000004:0.75>, x"]),
    ("[ControlNet] Enabled", "True,True", RICH, "control.0.model", ["control_canny"] * 2),
    ("[ControlNet] Model", "control_canny,control_depth", RICH, "control.0.model", ["control_canny", "control_depth"]),
    ("[ControlNet] Weight", "0-1(+0.5)", RICH, "control.0.weight", [0, 0.5, 1]),
    ("[ControlNet] Guidance Start", "0,0.5", RICH, "control.0.start", [0, 0.5]),
    ("[ControlNet] Guidance End", "0.5,1", RICH, "control.0.end", [0.5, 1]),
    ("[ControlNet] Control Mode", "balanced,ControlNet is more important", RICH, "control.0.mode",
     ["Balanced", "ControlNet is more important"]),
    ("[ControlNet] Resize Mode", "Just Resize,Resize and Fill", RICH, "control.0.resize_mode",
     ["Just Resize", "Resize and Fill"]),
    ("[ControlNet] Preprocessor", "none,canny", RICH, "control.0.preprocessor", ["none", "canny"]),
    ("[ControlNet] Pre Resolution", "256,512", RICH, "control.0.processor_resolution", [256, 512]),
    ("[ControlNet] Pre Threshold A", "50,100", RICH, "control.0.threshold_a", [50, 100]),
    ("[ControlNet] Pre Threshold B", "150,200", RICH, "control.0.threshold_b", [150, 200]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "base", "field", "expected"), EFFECTS, ids=lambda value: str(value)[:30])
def test_an_axis_sets_what_it_says(name, text, base, field, expected):
    made = cells((name, text), base=base, styles=STYLES)
    assert [of(field)(spec) for spec in made] == expected
    # Nothing but its own field differs from the request that the plot was made of.
    changed = {key for spec in made for key in type(spec).model_fields if getattr(spec, key) != getattr(base, key)}
    also = {"sampler": {"schedule"}, "width": {"height"}, "height": {"width"}, "prompt": {"negative_prompt"},
            "negative_prompt": {"prompt"}}  # fmt: skip
    assert changed <= {field.split(".")[0], *also.get(field, ())}


def test_every_axis_is_tried():
    tried = {name for name, *_ in EFFECTS}
    named = {axis.name for axis in AXES.values() if not axis.name.startswith("[ControlNet ") and axis.name != "Nothing"}
    # Refiner switch at is tried with a refiner, below.
    assert named - tried == {"Refiner switch at"}


def test_a_switch_of_the_refiner_moves_that_of_each_cell_that_has_one():
    made = cells(("Refiner checkpoint", "None,second"), ("Refiner switch at", "0.5,0.9"))
    assert [spec.refiner and spec.refiner.switch_at for spec in made] == [None, 0.5, None, 0.9]


def test_epochs_of_a_lora_beside_the_picture_without_it():
    made = cells(("LoRA", "None,ink-000002,ink-000004"), ("LoRA weight", "0.5,1"))
    bare, first, last = "a red cat, a hat", "<lora:ink-000002:{}>", "<lora:ink-000004:{}>"
    assert [spec.prompt for spec in made] == [
        bare, f"{bare} {first.format(0.5)}", f"{bare} {last.format(0.5)}",
        bare, f"{bare} {first.format(1)}", f"{bare} {last.format(1)}",
    ]  # fmt: skip


def test_the_second_unit_has_axes_of_its_own_and_disabling_one_leaves_the_other():
    base = BASE.model_copy(update={"control": (UNIT, UNIT.model_copy(update={"model": "control_depth"}))})
    made = cells(("[ControlNet 2] Weight", "0.1,0.2"), ("[ControlNet] Enabled", "True,False"), base=base)
    assert [[unit.weight for unit in spec.control] for spec in made] == [[1, 0.1], [1, 0.2], [0.1], [0.2]]


def test_a_sampler_brings_its_schedule_unless_an_axis_says_one():
    base = BASE.model_copy(update={"schedule": "Exponential"})
    assert [spec.schedule for spec in cells(("Sampler", "Euler,Euler Karras"), base=base)] == ["Automatic", "Karras"]
    made = cells(("Schedule type", "Simple,Karras"), ("Sampler", "Euler,DPM++ 2M"), base=base)
    assert [(spec.sampler, spec.schedule) for spec in made] == [
        ("Euler", "Simple"), ("Euler", "Karras"), ("DPM++ 2M", "Simple"), ("DPM++ 2M", "Automatic"),
    ]  # fmt: skip


def test_a_cell_is_where_it_belongs_and_the_dearest_axis_changes_least_often():
    made = plot(("Steps", "1-3"), ("Checkpoint name", "demo,second"), ("CFG Scale", "1,2"))
    assert made.size == 12
    drawn = made.expanded().cells
    assert [cell.spec.checkpoint for cell in drawn] == ["demo"] * 6 + ["second"] * 6
    assert sorted(cell.index for cell in drawn) == [*range(12)]
    for cell in drawn:
        x, y, z = cell.index % 3, cell.index // 3 % 2, cell.index // 6
        assert (cell.spec.steps, cell.spec.checkpoint, cell.spec.cfg_scale) == (x + 1, ("demo", "second")[y], z + 1)
    assert drawn[0].note == "Steps: 1, demo, CFG Scale: 1.0"


def test_an_axis_of_texts_works_on_what_the_one_before_left():
    made = cells(("Prompt S/R", "cat,dog"), ("Prompt S/R", "a hat,a bow"))
    assert [spec.prompt for spec in made] == [
        "a red cat, a hat", "a red dog, a hat", "a red cat, a bow", "a red dog, a bow",
    ]  # fmt: skip
    assert [spec.negative_prompt for spec in made] == ["bad cat", "bad dog"] * 2


def test_weights_of_a_lora_through_search_and_replace():
    base = BASE.model_copy(update={"prompt": "a cat <lora:ink-000002:0.5>"})
    made = cells(("Prompt S/R", "ink-000002,ink-000004"), ("Prompt S/R", ":0.5>,:1>"), base=base)
    assert [spec.prompt.split("<")[1] for spec in made] == [
        "lora:ink-000002:0.5>", "lora:ink-000004:0.5>", "lora:ink-000002:1>", "lora:ink-000004:1>",
    ]  # fmt: skip
    assert refused(("Prompt S/R", "ink-000002,nowhere"), base=base).values["reason"].key == "lora_unknown"


def test_seeds_are_drawn_once_unless_each_cell_has_its_own():
    drawn = plot(("Seed", "-1,-1,7"), ("Steps", "1,2"))
    seeds = [spec.seed for spec in sorted_specs(drawn)]
    assert seeds[:3] == seeds[3:]
    assert seeds[0] != seeds[1]
    assert seeds[2] == 7
    assert drawn.fields(None)["Fixed X Values"] == ", ".join(map(str, seeds[:3]))
    assert drawn.x.titles[0] == f"Seed: {seeds[0]}"
    each = plot(("Seed", "-1,7"), ("Steps", "1,2"), random_seeds=True)
    seeds = [spec.seed for spec in sorted_specs(each)]
    assert len({*seeds}) == 3
    assert seeds[1] == seeds[3] == 7
    assert "Fixed X Values" not in each.fields(None)
    free = plot(("Steps", "1,2,3"), random_seeds=True)
    assert len({spec.seed for spec in sorted_specs(free)}) == 3
    assert [spec.seed for spec in sorted_specs(plot(("Steps", "1,2")))] == [5, 5]


def sorted_specs(made):
    return [cell.spec for cell in sorted(made.expanded().cells, key=lambda cell: cell.index)]


@pytest.mark.parametrize(
    ("vary", "expected"),
    [((True, False, False), [5, 6, 5, 6, 5, 6, 5, 6]), ((False, True, False), [5, 5, 6, 6, 5, 5, 6, 6]),
     ((True, True, True), [5, 6, 7, 8, 9, 10, 11, 12]), ((False, False, True), [5, 5, 5, 5, 6, 6, 6, 6])],
)  # fmt: skip
def test_seeds_count_up_along_the_axes_that_vary_them(vary, expected):
    made = cells(("Steps", "1,2"), ("CFG Scale", "1,2"), ("Clip skip", "1,2"), vary=vary)
    assert [spec.seed for spec in made] == expected


def test_a_variation_is_drawn_for_a_strength_alone_and_zero_is_none():
    made = cells(("Var. strength", "0,0.5"), ("Var. seed", "1,2"))
    assert [[(step.seed, step.strength) for step in spec.variations] for spec in made] == [
        [], [(1, 0.5)], [], [(2, 0.5)],
    ]  # fmt: skip
    first, second = cells(("Var. strength", "0.1,0.2"))
    assert first.variations[0].seed == second.variations[0].seed


def test_a_plot_in_the_database_is_the_same_plot():
    made = plot(("Seed", "-1,3"), ("Prompt order", "red,hat"), ("CFG Scale", "1-2(+0.5)"), vary=(True, False, True))
    again = TypeAdapter(Plot).validate_json(made.model_dump_json())
    assert again == made
    assert again.expanded() == made.expanded()


def test_what_a_grid_says_and_what_is_read_from_it():
    made = plot(("Seed", "-1,3"), ("Prompt S/R", 'cat,"dog, small"'), ("Steps", "1,2"))
    whole, page = made.fields(None), made.fields(1)
    assert [*whole] == [
        "Script", "X Type", "X Values", "Fixed X Values", "Y Type", "Y Values", "Z Type", "Z Values",
    ]  # fmt: skip
    assert whole["Y Values"] == 'cat,"dog, small"'
    assert {*whole} - {*page} == {"Z Type", "Z Values"}
    axes = recorded_axes(recorded_plot(whole))
    assert axes[0].text == whole["Fixed X Values"]
    assert plot(*((axis.type, axis.text) for axis in axes)).y == made.y
    assert recorded_plot({"Script": "Prompt matrix"}) is None
    assert recorded_plot({"Script": "X/Y/Z plot"}) is None


def test_all_names_at_once():
    assert [spec.checkpoint for spec in cells(("Checkpoint name", "*"), base=BASE.model_copy(update={"vae": "None"}))]
    made = plot(("RNG source", "*"))
    assert made.x.values == ("GPU", "CPU", "NV")
    assert made.fields(None)["X Values"] == "GPU,CPU,NV"
    names = ["a, b", 'c "d"', "e"]
    assert split_values(joined_values(names)) == names


@pytest.mark.parametrize(
    ("axes", "key"),
    [
        ([], "plot_no_axis"),
        ([("Nothing", "")], "plot_no_axis"),
        ([("Stepps", "1")], "plot_axis_unknown"),
        ([(None, "1,2"), ("Steps", "1")], "plot_axis_missing"),
        ([("Steps", "1"), ("steps", "2")], "plot_axis_twice"),
        ([("Steps", "")], "plot_values_empty"),
        ([("Steps", "5-1")], "plot_values_empty"),
        ([("Prompt order", "")], "plot_values_empty"),
        ([("Steps", "ten")], "plot_values_whole"),
        ([("Steps", "1-5(+0)")], "plot_values_whole"),
        ([("Steps", "9" * 5000)], "plot_values_whole"),
        ([("CFG Scale", "1-2(+.5)")], "plot_values_decimal"),
        ([("CFG Scale", "nan")], "plot_values_decimal"),
        ([("CFG Scale", "1e999")], "plot_values_decimal"),
        ([("CFG Scale", "1-2(+0.0)")], "plot_values_decimal"),
        ([("Seed", "0-99999999999999999999999999")], "plot_values_many"),
        ([("Seed", "1-2[99999999999]")], "plot_values_many"),
        ([("CFG Scale", "1-30(+0.00001)")], "plot_values_many"),
        ([("Prompt S/R", "cat" + ",dog" * 500)], "plot_values_many"),
        ([("Prompt order", "a,b,c,d,e,f,g,h,i,j,k,l")], "plot_values_orders"),
        ([("Prompt order", ",".join(["a"] * 2000))], "plot_values_orders"),
        ([("Prompt S/R", "cat," + "x" * 7000)], "plot_values_long"),
        ([("Sampler", "Euler,,Heun")], "plot_value_empty"),
        ([("Prompt order", "red,")], "plot_value_empty"),
        ([("Steps", "1-20"), ("CFG Scale", "1-21")], "plot_cells"),
        ([("Steps", "1-100"), ("Seed", "1-100")], "plot_cells"),
        ([("Size", "2048x1024,1024x2048"), ("Seed", "1-50")], "plot_pixels"),
        ([("Prompt S/R", "zebra,dog")], "plot_search"),
        ([("Prompt S/R", "Cat,dog")], "plot_search"),
        ([("Prompt S/R", ",dog")], "plot_search_empty"),
        ([("Prompt order", "red,zebra")], "plot_order"),
        ([("Prompt S/R", "a," + "x" * 5000)], "plot_text_long"),
        ([("Hires steps", "1,2")], "plot_needs_hires"),
        ([("Extra noise", "0.1")], "plot_needs_picture"),
        ([("Denoising", "0.1")], "plot_needs_hires_or_picture"),
        ([("Var. seed", "1")], "plot_needs_variation"),
        ([("Refiner switch at", "0.5")], "plot_needs_refiner"),
        ([("[ControlNet] Weight", "1")], "plot_needs_control"),
        ([("LoRA weight", "1")], "plot_needs_lora"),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_refused(axes, key):
    assert refused(*axes).key == key


@pytest.mark.parametrize(
    ("axis", "reason"),
    [
        (("Steps", "10,200"), "steps_range"),
        (("CFG Scale", "0-1(+0.5)"), "cfg_scale_range"),
        (("Clip skip", "1,13"), "clip_skip_range"),
        (("Seed", "-2"), "seed_range"),
        (("Eta", "2"), "parameter_range"),
        (("Sampler", "Foo"), "sampler_unknown"),
        (("Schedule type", "Foo"), "schedule_unknown"),
        (("Checkpoint name", "missing"), "checkpoint_unknown"),
        (("Checkpoint name", "demo,closed"), "model_disabled"),
        (("VAE", "missing"), "vae_unknown"),
        (("Size", "100"), "plot_size"),
        (("Size", "64x64,100x100"), "size_odd"),
        (("Size", "99999x64"), "size_too_large"),
        (("RNG source", "TPU"), "plot_choice"),
        (("Face restore", "maybe"), "face_unknown"),
    ],
    ids=str,
)
def test_a_value_that_is_none_is_named_with_its_axis(axis, reason):
    error = refused(axis)
    assert (error.key, error.values["reason"].key) == ("plot_value", reason)
    assert error.values["axis"].startswith("X, ")
    assert "error." not in texts_for("en")("error.plot_value", **error.values)


@pytest.mark.parametrize(
    ("axes", "base", "reason"),
    [
        ([("Checkpoint name", "demo,large"), ("VAE", "auto,clear")], BASE, "vae_family"),
        ([("Checkpoint name", "demo,large")], BASE.model_copy(update={"prompt": "a <lora:ink-000002:1>"}),
         "lora_family"),
        ([("Refiner checkpoint", "None,large")], BASE, "partner_family"),
        ([("Prompt S/R", "a red cat," + '""')], BASE.model_copy(update={"prompt": "a red cat"}), "prompt_empty"),
        ([("Size", "128x128,2048x1024")], RICH, "hires_too_large"),
        ([("Prompt S/R", "red,<lora:ink-000002:x>")], BASE, "lora_weight"),
        ([("Prompt S/R", "red,__colour__")], BASE, "plot_dynamic"),
        ([("Checkpoint name", "demo,large")], RICH.model_copy(update={"variations": ()}), "control_base_none"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_cell_that_cannot_be_drawn_is_named(axes, base, reason):
    error = refused(*axes, base=base)
    assert (error.key, error.values["reason"].key) == ("plot_cell", reason)
    assert error.values["cell"]


def ranked(typed, offered):
    return [name for name in offered if typed.casefold() in name.casefold()]


@pytest.mark.parametrize(
    ("axis", "typed", "names", "prompt", "expected"),
    [
        ("Sampler", "", ["Euler", "Heun"], "", ["*", "Euler", "Heun"]),
        ("Sampler", "Euler, he", ["Euler", "Heun"], "", ["Euler, he", "Euler, Heun"]),
        ("Sampler", "Euler,", ["Euler", "Heun"], "", ["Euler,", "Euler, Euler", "Euler, Heun"]),
        ("Styles", '"a, b", c', ["c d", "x"], "", ['"a, b", c', '"a, b", c d']),
        ("Styles", "", ["ink, black"], "", ['"ink, black"']),
        ("VAE", '"odd, na', ["odd, name"], "", ['"odd, na', '"odd, name"']),
        ("Steps", "", [], "", ["10, 20, 30", "10-40(+10)", "5-50[4]"]),
        ("Steps", "10", [], "", ["10"]),
        ("Prompt S/R", "", [], "a cat, a hat", ["a cat", "a hat"]),
        ("Prompt S/R", "a cat, do", [], "a cat, a hat", ["a cat, do"]),
        ("Prompt order", "a cat, a h", [], "a cat, a hat", ["a cat, a h", "a cat, a hat"]),
        ("[ControlNet] Weight", "", [], "", ["0-1.5(+0.5)", "0.4, 0.7, 1"]),
        ("Sampler", "x" * 101, ["Euler"], "", []),
        ("nothing like it", "", [], "", []),
    ],
)
def test_what_values_go_on_with(axis, typed, names, prompt, expected):
    assert value_rows(find_axis(axis), typed, names, prompt, ranked) == expected


def test_types_of_axes_are_offered_the_usual_first_and_all_are_found():
    assert axis_rows("", ranked)[:2] == ["Steps", "CFG Scale"]
    assert len(axis_rows("", ranked)) <= 25
    assert set(axis_rows("", ranked)) <= {axis.name for axis in AXES.values()}
    assert axis_rows("churn", ranked) == ["Sigma Churn"]


def test_another_seed_is_another_one_wherever_it_was_drawn():
    typed = plot(("Seed", "-1, 7, -1"))
    again = typed.reseeded(9)
    before, after = ([cell.spec.seed for cell in one.expanded().cells] for one in (typed, again))
    assert after[1] == before[1] == 7
    assert len({*before, *after}) == 5
    assert [title for (title,) in again.layout().column_titles] == [
        type(title)(f"Seed: {seed}") for (title,), seed in zip(again.layout().column_titles, after, strict=True)
    ]
    assert again.fields(None)["Fixed X Values"] == ", ".join(map(str, after))
    assert typed.reseeded(9) == again
    each = plot(("Steps", "5,6"), random_seeds=True)
    seeds = [cell.spec.seed for one in (each, each.reseeded(9)) for cell in one.expanded().cells]
    assert len(set(seeds)) == 4
    varied = plot(("Var. seed", "1,2"), base=RICH).reseeded(9)
    assert [(cell.spec.seed, cell.spec.variations[-1].seed) for cell in varied.expanded().cells] == [(9, 1), (9, 2)]


SIGNS = st.text(st.sampled_from('0123456789-+.,()[] "en\n'), max_size=60)


@given(st.one_of(SIGNS, st.text(max_size=200)), st.sampled_from(["whole", "decimal", "text", "order"]))
def test_whatever_is_typed_gives_few_finite_values_or_is_refused(text, kind):
    try:
        values = read_values(kind, text, 50)
    except ValuesError:
        return
    assert len(values) <= 50
    assert all(math.isfinite(value) for value in values if isinstance(value, int | float))
