"""Regions as people write them: arrangements, maps, percents, the extension's line, and what becomes of them."""

import pytest

from bot.domain.job import work_units
from bot.domain.layouts.keeping import on_canvas, region_changes, region_notes, with_the_same_regions
from bot.domain.layouts.parts import Arrangement, Part, joined, one_text, parts_of_text
from bot.domain.layouts.rectangles import (
    ARRANGEMENTS,
    arranged,
    background,
    percents,
    read_layout,
    read_rectangle,
    read_weight,
    rectangle_text,
)
from bot.domain.lora_tags import with_loras
from bot.errors import UserFacingError
from gpu_worker.language.regions import (
    DEFAULT_REGIONS,
    RegionSyntaxError,
    networks_of_parts,
    parse_regions,
    region_cells,
    regions_of_params,
    regions_text,
)
from gpu_worker.protocol.specs import Extend, Region, Regions, Txt2Img

SPEC = Txt2Img(prompt="all AND left AND right", checkpoint="x", width=512, height=512, seed=1)
SIDES = Regions(areas=DEFAULT_REGIONS)


def boxes(areas):
    return [tuple(round(number) for number in percents(area)) for area in areas]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("left|right", [(0, 0, 50, 100), (50, 0, 50, 100)]),
        ("Top | Bottom".replace(" ", ""), [(0, 0, 100, 50), (0, 50, 100, 50)]),
        ("columns 4", [(0, 0, 25, 100), (25, 0, 25, 100), (50, 0, 25, 100), (75, 0, 25, 100)]),
        ("2 rows", [(0, 0, 100, 50), (0, 50, 100, 50)]),
        ("2x1", [(0, 0, 50, 100), (50, 0, 50, 100)]),
        ("middle", [(25, 25, 50, 50)]),
        ("1 1 2 / 1 1 3", [(0, 0, 67, 100), (67, 0, 33, 50), (67, 50, 33, 50)]),
        ("112/113", [(0, 0, 67, 100), (67, 0, 33, 50), (67, 50, 33, 50)]),
        ("1. / .2", [(0, 0, 50, 50), (50, 50, 50, 50)]),
        ("10 20 30 40", [(10, 20, 30, 40)]),
        ("0% 0% 50% 100%; 50,0,50,100", [(0, 0, 50, 100), (50, 0, 50, 100)]),
    ],
)
def test_layouts(text, wanted):
    assert boxes(read_layout(text)) == wanted


def test_what_the_list_offers_can_be_read():
    assert all(read_layout(name) for name in ARRANGEMENTS)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("", "regions_layout"), ("sideways", "regions_layout"), ("x" * 5000, "regions_layout"),
        ("columns 99", "regions_many"), ("99x99", "regions_many"), ("columns 0", "regions_many"),
        (";".join(["0 0 10 10"] * 40), "regions_many"), ("1 2 / 1", "regions_map"), ("1 2 / 2 1", "regions_map"),
        ("1 3 / 1 3", "regions_map"), ("a b / a b", "regions_map"), (". / .", "regions_map"),
        ("/".join(f"{row} {row}" for row in range(1, 40)), "regions_many"),
        ("0 0 0 50", "regions_empty"), ("0 0 50 -5", "regions_empty"), ("-10 0 50 50", "regions_outside"),
        ("60 0 50 50", "regions_outside"), ("0 0 nan 50", "regions_rectangle"), ("0 0 inf 50", "regions_rectangle"),
        ("0 0 1e9 50", "regions_rectangle"), ("a b c d", "regions_rectangle"),
    ],
)  # fmt: skip
def test_layouts_that_cannot_be(text, key):
    with pytest.raises(UserFacingError) as caught:
        read_layout(text)
    assert caught.value.key == key


def test_round_percents_lie_on_the_lines_of_a_coarse_grid():
    half = read_rectangle("50 0 50 100")
    assert (half.columns, half.left, half.right) == (2, 1, 2)
    for side in (8, 37, 61, 64, 96):
        assert region_cells(half, side, side) == region_cells(DEFAULT_REGIONS[2], side, side)
    assert rectangle_text(read_rectangle("12.5 0 33,3 100")) == "12.5 0 33.3 100"


@pytest.mark.parametrize("text", ["", "much", "nan", "11", "-10.1", "1e2", "0x1"])
def test_weights_that_are_none(text):
    with pytest.raises(UserFacingError) as caught:
        read_weight(text)
    assert caught.value.key == "regions_weight"


def test_weights():
    assert [read_weight(text) for text in ("0.8", "0,8", "-1", "10")] == [0.8, 0.8, -1, 10]


def test_a_prompts_parts_and_back():
    prompt = "all :1.2 AND left <lora:a AND b:1> AND right ANDy"
    assert parts_of_text(prompt) == ["all :1.2", "left <lora:a AND b:1>", "right ANDy"]
    assert joined(parts_of_text(prompt)) == prompt
    assert parts_of_text("AND left") == ["", "left"]
    assert joined(["", "left"]) == "AND left"
    with pytest.raises(UserFacingError) as caught:
        one_text("cat AND dog")
    assert caught.value.key == "regions_and"


def test_an_arrangement_of_parts_without_regions_counts_everywhere():
    plain = Arrangement.of(SPEC)
    assert [part.region for part in plain.parts] == [Region()] * 3
    short = Arrangement.of(SPEC.model_copy(update={"regions": SIDES.model_copy(update={"areas": DEFAULT_REGIONS[:2]})}))
    assert [part.region for part in short.parts] == [*DEFAULT_REGIONS[:2], Region()]
    assert short.prompt == SPEC.prompt


def test_parts_are_added_copied_and_taken_away():
    one = Arrangement((Part("all", Region()),))
    two = one.added(Part("left", DEFAULT_REGIONS[1]))
    assert two.parts[0].region == background()
    assert two.regions == Regions(areas=DEFAULT_REGIONS[:2])
    assert two.removed(1).regions is None
    with pytest.raises(UserFacingError) as caught:
        two.removed(5)
    assert caught.value.key == "regions_gone"
    with pytest.raises(UserFacingError) as caught:
        one.removed(0)
    assert caught.value.key == "regions_gone"
    full = one
    for _ in range(15):
        full = full.added(Part("x", Region()))
    with pytest.raises(UserFacingError) as caught:
        full.added(Part("x", Region()))
    assert caught.value.key == "regions_many"


def test_another_layout_keeps_words_and_weights():
    regions = parse_regions("1:1,1:2,1:2", "0:0,0:0,0:1", "0.1,0.5,0.6")
    before = Arrangement.of(SPEC.model_copy(update={"regions": Regions(areas=regions, end_step=9)}))
    after = before.relaid(arranged(3, 1))
    assert [part.text for part in after.parts] == ["all", "left", "right", ""]
    assert [part.region.weight for part in after.parts] == [0.1, 0.5, 0.6, 0.8]
    assert boxes(part.region for part in after.parts)[1] == (0, 0, 100, 33)
    assert after.end_step == 9


def notes_of(prompt="all AND left AND right", steps=20, **regions):
    spec = SPEC.model_copy(update={"prompt": prompt, "steps": steps, "regions": SIDES.model_copy(update=regions)})
    return [note.key for note in region_notes(spec)]


def test_what_nobody_may_mean_is_told():
    assert notes_of() == []
    assert notes_of("all AND left") == ["regions_superfluous"]
    assert notes_of("all AND left AND right AND more") == ["regions_missing"]
    assert notes_of("all AND left AND") == ["regions_wordless"]
    assert notes_of(end_step=0) == ["regions_off"]
    assert notes_of(steps=4) == []
    assert notes_of(end_step=30) == ["regions_to_the_end"]
    assert notes_of(areas=(*DEFAULT_REGIONS[:2], Region(columns=4, left=1, right=3))) == ["regions_overlap"]
    assert notes_of(areas=(*DEFAULT_REGIONS[:2], Region(columns=2, left=2, right=3))) == ["regions_nowhere"]


def test_a_changed_prompt_keeps_its_regions_while_it_has_parts():
    kept, notes = with_the_same_regions(SPEC, SIDES)
    assert kept.regions == SIDES
    assert notes == ()
    gone, notes = with_the_same_regions(SPEC.model_copy(update={"prompt": "a cat"}), SIDES)
    assert gone.regions is None
    assert [note.key for note in notes] == ["regions_dropped"]


def test_changes_are_told_one_by_one():
    assert region_changes(SIDES, SIDES) == []
    assert region_changes(None, SIDES) == [("Regions", "", "2")]
    weights = parse_regions("1:1,1:2,1:2", "0:0,0:0,0:1", "0.2,0.8,0.5")
    after = Regions(areas=weights, end_step=12, loras_apart=True)
    assert region_changes(SIDES, after) == [
        ("Region weights", "0.2,0.8,0.8", "0.2,0.8,0.5"), ("Regions end", "20", "12"), ("LoRA per region", "", "+"),
    ]  # fmt: skip
    assert [key for key, _, _ in region_changes(SIDES, Regions(areas=DEFAULT_REGIONS[:2]))] == [
        "Regions", "Region weights",
    ]  # fmt: skip


@pytest.mark.parametrize("scale", [1, 4])
def test_on_a_larger_canvas_they_stay_where_the_picture_is_and_new_canvas_belongs_to_its_neighbour(scale):
    areas = (*DEFAULT_REGIONS, read_rectangle("25 25 50 50"))
    size, extend = (512 * scale, 256 * scale), Extend(left=128 * scale, right=128 * scale)
    moved = on_canvas(Regions(areas=areas), size, extend)
    assert moved.areas[0] == DEFAULT_REGIONS[0]
    assert boxes(moved.areas[1:]) == [(0, 0, 50, 100), (50, 0, 50, 100), (38, 25, 25, 50)]
    assert on_canvas(None, size, extend) is None


def test_parts_are_counted_as_work():
    plain = work_units(SPEC.model_copy(update={"prompt": "a cat ANDY <lora:a AND b:1>"}))
    assert work_units(SPEC) == pytest.approx(2 * plain)


# --- the extension's words --------------------------------------------------------------------------------------------


def test_what_is_written_is_read_again():
    areas = (Region(), read_rectangle("12.5 0 33.3 100", 0.55), *arranged(3, 3), Region(weight=-0.25))
    for regions in (SIDES, Regions(areas=areas, end_step=7)):
        assert regions_of_params(regions_text(regions)) == regions


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("divisions=1", "grid"), ("divisions=0:1", "grid"), ("divisions=-1:1", "grid"), ("divisions=nan:1", "grid"),
        ("positions=0:0-", "position"), ("positions=a:b", "position"), ("positions=1e9:0", "position"),
        ("weights=much", "weight"), ("weights=inf", "weight"), ("weights=99", "weight"), ("weights=", "weight"),
        ("end at step=x", "step"), ("end at step=-1", "step"), ("end at step=151", "step"),
        ("weights=" + ",".join(["1"] * 900) + " divisions=" + ",".join(["1:1"] * 400) + " positions="
         + ",".join(["0:0"] * 400), "many"),
        ("weights=" + "1," * 5000, "long"),
    ],
)  # fmt: skip
def test_what_the_extension_could_not_read_either_is_refused(text, problem):
    with pytest.raises(RegionSyntaxError) as caught:
        regions_of_params(text)
    assert caught.value.problem == problem


def test_the_shortest_list_decides():
    assert len(parse_regions("1:1,1:2,1:2", "0:0", "1,1")) == 1
    assert parse_regions(" 1:2 , 1:2", " 0:0,0:1 ", " 1, 1")[1].left == 1


def test_tags_belong_to_the_part_that_they_stand_in():
    found = networks_of_parts("a <lora:x:1> AND b AND <lora:y:0.5> c <lora:z:1>")
    assert [[tag.items[0] for tag in part] for part in found] == [["x"], [], ["y", "z"]]
    # As many parts as there are without the tags.
    assert len(networks_of_parts("a AND<lora:x:1>b")) == 1


def test_loras_from_a_list_go_to_the_background():
    assert with_loras("all AND left <lora:a:1>", ["a", "b"]) == "all <lora:b:1> AND left <lora:a:1>"
    assert with_loras("all AND left <lora:a:1>", []) == "all AND left"
    assert with_loras("a cat", ["b"]) == "a cat <lora:b:1>"
