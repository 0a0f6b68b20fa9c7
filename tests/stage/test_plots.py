"""Plots from the command, or a picture's form, to the grid."""

from __future__ import annotations

import asyncio

import pytest

from gpu_worker.language.infotext import parse_infotext
from gpu_worker.protocol.specs import Sheet
from tests.stage.pictures_given import picture
from tests.stage.refusing import refused, unchanged

GRID = "SELECT infotext FROM images JOIN jobs ON jobs.id = job_id WHERE jobs.lane = 'script'"


async def asked(member, prompt="a red cat, a hat", **options):
    return await member.slash("general", "plot", {"prompt": prompt, **options})


async def drawn(member, answer):
    offer = await member.shown(answer)
    return offer, await member.drawn(await member.press(offer, "scriptdraw"))


def cells(stage):
    """By their places."""
    found = {}
    for spec in stage.painter.specs:
        if isinstance(spec, Sheet):
            found |= dict(zip(spec.places, spec.cells, strict=True))
    return [found[place] for place in sorted(found)]


async def test_a_plot_is_shown_with_its_cost_and_drawn_cell_by_cell(stage):
    member = await stage.visitor()
    answer = await asked(
        member, x_type="steps", x_values="5-15[3]", y_type="Prompt S/R", y_values="cat, dog", seed=7, cfg=4
    )
    offer, card = await drawn(member, answer)
    assert "6 pictures: 3 by 2" in offer.text
    made = cells(stage)
    assert [(spec.steps, spec.prompt) for spec in made] == [
        (steps, f"a red {animal}, a hat") for animal in ("cat", "dog") for steps in (5, 10, 15)
    ]  # fmt: skip
    assert {(spec.seed, spec.cfg_scale, spec.count) for spec in made} == {(7, 4, 1)}
    (row,) = await asyncio.to_thread(stage.rows, GRID)
    fields = parse_infotext(row["infotext"]).fields
    assert (fields["Script"], fields["X Type"], fields["X Values"]) == ("X/Y/Z plot", "Steps", "5-15[3]")
    assert (fields["Y Type"], fields["Y Values"]) == ("Prompt S/R", "cat, dog")
    assert card


async def test_the_infotext_of_a_grid_brings_its_axes(stage):
    member = await stage.visitor()
    _, _ = await drawn(member, await asked(member, x_type="Seed", x_values="-1,-1,3", steps=9))
    first = cells(stage)
    (row,) = await asyncio.to_thread(stage.rows, GRID)
    stage.painter.assigned.clear()
    await drawn(member, await asked(member, row["infotext"]))
    assert cells(stage) == first
    assert len({spec.seed for spec in first}) == 3


async def test_a_plot_from_a_picture_begins_with_its_own_request(stage):
    member = await stage.visitor()
    card = await member.imagine(prompt="a castle", seed=11, count=1, steps=8)
    more = await member.shown(await member.press(card, "more"))
    form = await member.press(more, "plot")
    stage.painter.assigned.clear()
    _, grid = await drawn(
        member,
        await member.fill(form, {"x_type": "CFG Scale", "x_values": "3,5", "y_type": "-", "z": "Clip skip: 1-2"}),
    )
    made = cells(stage)
    assert [(spec.cfg_scale, spec.clip_skip) for spec in made] == [(3, 1), (5, 1), (3, 2), (5, 2)]
    assert {(spec.prompt, spec.seed, spec.steps) for spec in made} == {("a castle", 11, 8)}
    assert grid


async def test_a_plot_from_an_enlarged_picture_begins_with_what_drew_it(stage):
    member = await stage.visitor()
    card = await member.imagine(prompt="a castle", seed=11, count=1, width=128, height=64)
    larger = await member.drawn(await member.press(card, "upscale"))
    largest = await member.drawn(await member.press(larger, "upscale"))
    tiled = await member.drawn(
        await member.slash("general", "ultimate", {"picture": member.images(largest)[0]["id"], "factor": 1})
    )
    for enlarged in (larger, largest, tiled):
        more = await member.shown(await member.press(enlarged, "more"))
        form = await member.press(more, "plot")
        assert "Hires steps" not in str(form.modal), "it would be refused: there is no second pass in what is drawn"
        stage.painter.assigned.clear()
        await drawn(member, await member.fill(form, {"x_type": "Steps", "x_values": "5,6"}))
        assert {(spec.width, spec.height, spec.seed, spec.hires) for spec in cells(stage)} == {(128, 64, 11, None)}


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({}, "plot_no_axis"),
        ({"x_type": "Steps"}, "plot_values_empty"),
        ({"x_type": "Stairs", "x_values": "1"}, "plot_axis_unknown"),
        ({"x_values": "1,2"}, "plot_axis_missing"),
        ({"x_type": "Steps", "x_values": "1-100", "y_type": "Seed", "y_values": "1-100"}, "plot_cells"),
        ({"x_type": "Sampler", "x_values": "Foo"}, "plot_value"),
        ({"x_type": "Styles", "x_values": "nowhere"}, "plot_value"),
        ({"x_type": "Prompt S/R", "x_values": "zebra, dog"}, "plot_search"),
        ({"x_type": "Hires steps", "x_values": "1,2"}, "plot_needs_hires"),
    ],
    ids=str,
)
async def test_what_is_refused_costs_nothing(stage, options, key):
    member = await stage.visitor()
    async with unchanged(stage):
        await refused(member, await asked(member, **options), key)


async def test_words_of_a_cell_are_judged_like_any_prompt(stage):
    member = await stage.visitor()
    await refused(member, await asked(member, x_type="Prompt S/R", x_values="red, naked"), "content_adult")
    assert stage.painter.specs == []


async def test_values_complete_their_last_name(stage):
    member = await stage.visitor()

    async def offered(option, typed, **others):
        options = {"prompt": "a cat, a hat", **others, option: typed}
        return await member.autocomplete("general", "plot", option, options)

    assert "Steps" in names(await offered("x_type", ""))
    assert names(await offered("x_type", "prompt s"))[0] == "Prompt S/R"
    assert "Euler, DPM2 Karras" in names(await offered("x_values", "Euler, DPM2", x_type="Sampler"))
    assert names(await offered("x_values", "", x_type="RNG source"))[0] == "*"
    assert "10, 20, 30" in names(await offered("x_values", "", x_type="Steps"))
    assert "a hat" in names(await offered("x_values", "a h", x_type="Prompt S/R"))
    assert names(await offered("x_values", "", x_type="unknown")) == []


def names(rows):
    return [row if isinstance(row, str) else row["value"] for row in rows]


async def test_a_plot_of_a_given_picture_draws_it_in_every_cell(stage):
    member = await stage.visitor()
    answer = await member.slash(
        "general",
        "plot",
        {"prompt": "a cat", "x_type": "Denoising", "x_values": "0.2-0.6[3]"},
        attachments={"image": ("a.png", picture(size=(96, 64)))},
    )
    await drawn(member, answer)
    made = cells(stage)
    assert [spec.denoising_strength for spec in made] == pytest.approx([0.2, 0.4, 0.6])
    assert len({spec.image.sha256 for spec in made}) == 1
    assert all(stage.painter.input(spec.image) for spec in made)


async def test_options_of_seeds_and_of_the_grid_reach_the_plot(stage):
    member = await stage.visitor()
    options = {"x_type": "Steps", "x_values": "5,6", "y_type": "CFG Scale", "y_values": "3,4"}
    await drawn(member, await asked(member, **options, seed=10, vary_seeds="xy"))
    assert [spec.seed for spec in cells(stage)] == [10, 11, 12, 13]
    stage.painter.assigned.clear()
    await drawn(member, await asked(member, **options, random_seeds=True))
    assert len({spec.seed for spec in cells(stage)}) == 4
    stage.painter.assigned.clear()
    await drawn(member, await asked(member, "a cat --seed 3", **options, random_seeds=True, legend=False, margin=7))
    assert {spec.seed for spec in cells(stage)} == {3}
    (size,) = {(spec.width, spec.height) for spec in cells(stage)}
    grids = await asyncio.to_thread(stage.rows, GRID.replace("infotext", "images.width, images.height"))
    assert (grids[-1]["width"], grids[-1]["height"]) == (2 * size[0] + 7, 2 * size[1] + 7)


async def test_styles_are_texts_of_an_axis_and_their_parameters_are_told_of(stage):
    member = await stage.visitor()
    await member.told(
        await member.slash("general", "style save", {"name": "ink", "prompt": "ink, {prompt}", "steps": 9})
    )
    answer = await asked(member, "a cat", x_type="Styles", x_values='"", ink')
    offer, _ = await drawn(member, answer)
    assert [spec.prompt for spec in cells(stage)] == ["a cat", "ink, a cat"]
    assert "Only the texts of ink are plotted" in offer.text


async def test_words_that_an_axis_brought_are_judged_again_when_its_grid_is_published(stage):
    member = await stage.visitor()
    await member.told(
        await member.slash("general", "style save", {"name": "ink", "prompt": "ink of a kraken, {prompt}"})
    )
    _, card = await drawn(member, await asked(member, "a cat --private", x_type="Styles", x_values='"", ink'))
    await stage.studio.safety.rules.change(
        stage.guild_id, lambda rules: rules.model_copy(update={"words": ("kraken",)})
    )
    await refused(member, await member.press(card, "publish"), "content_words")


async def test_a_cell_is_a_picture_like_any_other_and_may_begin_a_plot(stage):
    member = await stage.visitor()
    _, card = await drawn(member, await asked(member, x_type="Steps", x_values="5,6", seed=1))
    cell = await member.drawn(await member.pick(card, "scriptcell", ["1"]))
    more = await member.shown(await member.press(cell, "more"))
    form = await member.press(more, "plot")
    stage.painter.assigned.clear()
    await drawn(member, await member.fill(form, {"x_type": "Seed", "x_values": "1,2"}))
    assert [(spec.steps, spec.seed) for spec in cells(stage)] == [(6, 1), (6, 2)]
