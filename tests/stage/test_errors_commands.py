"""Slash commands that cannot do what they are asked: one sentence for whoever asked, and nothing has changed."""

import pytest

from tests.stage.pictures_given import picture
from tests.stage.refusing import refused, unchanged

NOT_A_JOB = "zzzzzzzzzzzzzzzz"
MEMBERS = (
    ("random", {"theme": "zzz"}, "theme_unknown"),
    ("repeat", {}, "nothing_to_repeat"),
    ("cancel", {}, "nothing_to_cancel"),
    ("cancel", {"job": NOT_A_JOB}, "job_unknown"),
    ("imagine", {"prompt": "a cat", "style": "qqqqqq"}, "style_unknown"),
    ("imagine", {"prompt": "a cat", "style": "cinemati"}, "style_unknown_closest"),
    ("imagine", {"prompt": "{red|blue} __zzz__ cat --combinatorial"}, "wildcard_unknown"),
    ("imagine", {"prompt": "a ${colour} cat"}, "template_variable"),
    ("history", {"since": "soonish"}, "date_unreadable"),
    ("png-info", {"picture": "zzz"}, "picture_name_unknown"),
    ("upscale", {"picture": "zzz"}, "picture_name_unknown"),
    ("upscale", {}, "picture_needed"),
    ("style show", {"name": "qqqqqq"}, "style_unknown"),
    ("style import", {}, "style_import_what"),
    ("style export", {"whose": "user"}, "style_nothing"),
    ("style import", {"code": "PS1:x", "for_server": True}, "style_admins"),
    ("wildcards list", {"name": "zzz"}, "wildcard_none"),
    ("settings", {"level": "operator"}, "setting_operator"),
    ("settings", {"level": "server"}, "setting_admins"),
)
PICTURES = (
    ("imagine", {"prompt": "a cat"}, ("mask",), "mask_without_picture"),
    ("upscale", {"prompt": "a cat"}, ("image",), "enlarge_prompt_alone"),
    ("upscale", {"denoise": 0.4, "upscaler_2": "4x-sharp"}, ("image",), "enlarge_not_both"),
    ("upscale", {"denoise": 0.4}, ("image",), "enlarge_needs_prompt"),
    ("upscale", {"denoise": 0.4, "prompt": "a cat", "factor": 5.0}, ("image",), "factor_range"),
    ("describe", {"tagger": "zzz"}, ("image",), "tagger_unknown"),
)


async def test_members_commands(stage):
    member = await stage.visitor()
    async with unchanged(stage):
        for command, options, key in MEMBERS:
            await refused(member, await member.slash("general", command, options), key)


async def test_commands_with_pictures(stage):
    member = await stage.visitor()
    async with unchanged(stage):
        for command, options, given, key in PICTURES:
            files = {name: ("a.png", picture()) for name in given}
            await refused(member, await member.slash("general", command, options, files), key)


@pytest.mark.parametrize(("problem", "key"), [(None, "tagger_none"), ("damaged", "tagger_unusable")])
async def test_describing_without_a_tagger(stage, problem, key):
    member = await stage.visitor()
    taggers = [fact for fact in stage.painter.facts if fact.kind == "tagger"]
    broken = [fact.model_copy(update={"problem": problem}) for fact in taggers if problem]
    stage.painter.facts = (*(fact for fact in stage.painter.facts if fact.kind != "tagger"), *broken)
    await stage.painter.announce()
    options = {"tagger": "tagger-v3"} if problem else {}
    async with unchanged(stage, "finds"):
        await refused(member, await member.slash("general", "describe", options, {"image": ("a.png", picture())}), key)


async def test_pictures_that_are_too_large_to_enlarge(stage):
    member = await stage.visitor()
    async with unchanged(stage):
        for side, key in ((6000, "enlarge_too_large"), (9000, "enlarge_large_already")):
            files = {"image": ("a.png", picture(size=(side, 64)))}
            await refused(member, await member.slash("general", "upscale", {"factor": 2.0}, files), key)
