"""What is refused, in which words, and that nothing of it is stored; and what looks bad and is drawn all the same."""

import pytest


def jobs(visitor):
    return visitor.product.rows("SELECT count(*) FROM jobs")[0][0]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"prompt": "   "}, "nothing to draw yet"),
        ({"prompt": "\u200b\u2060 \n"}, "nothing to draw yet"),
        ({"prompt": "--steps 5"}, "nothing to draw yet"),
        ({"prompt": "x", "checkpoint": "pinceldemo"}, "Did you mean: pincel-demo?"),
        ({"prompt": "x", "lora": "nosuch"}, "no LoRA"),
        ({"prompt": "x <lora:nosuch:1>"}, "no LoRA"),
        ({"prompt": "x", "width": 130, "height": 100}, "multiples of 8. The nearest sizes are 128×96 and 136×104"),
        ({"prompt": "x", "width": 100_000, "height": 64}, "too large: a side may have at most 1536 pixels"),
        ({"prompt": "x", "width": -8}, "too small"),
        ({"prompt": "x", "seed": -7}, "cannot be a seed"),
        ({"prompt": "x --steps 900"}, "900 steps are not possible"),
        ({"prompt": "x", "style": "nosuch"}, "no style called"),
        ({"prompt": "a nude woman"}, "Adult content is not allowed"),
        ({"prompt": "sexy schoolgirl"}, "I do not draw this, here or anywhere"),
    ],
)
async def test_a_sentence_with_the_next_step_and_no_job(member, options, sentence):
    before = jobs(member)
    assert sentence in await member.told(await member.slash("general", "imagine", options))
    assert jobs(member) == before


async def test_content_rules_judge_the_whole_text_and_every_way_in(member):
    before = jobs(member)
    await member.slash("general", "style save", {"name": "undressed", "prompt": "{prompt}, nude", "replace": True})
    answer = await member.slash("general", "imagine", {"prompt": "a woman", "style": "undressed"})
    assert "Adult content" in await member.told(answer)
    assert jobs(member) == before
    # The negative prompt is where such words belong.
    card = await member.imagine(prompt="a star", negative="nude, nsfw", steps=2, count=1)
    form = await member.click(card, "Edit")
    refused = await member.told(await member.submit_modal(form, {"prompt": "a nude star"}))
    assert "Adult content" in refused
    assert "nude" not in refused
    assert jobs(member) == before + 1


async def test_six_thousand_characters_are_drawn(member):
    prompt = ("a red apple, " * 500)[:6000].rstrip(", ")
    card = await member.imagine(prompt=prompt, steps=2, count=1)
    assert member.spec(card)["prompt"] == prompt
    assert "…" in card.text
    refused = await member.told(
        await member.slash("general", "imagine", {"prompt": "x", "negative": "y" * 6000, "seed": -9})
    )
    assert "seed" in refused


async def test_control_characters_are_left_out_and_the_user_is_told(member):
    card = await member.imagine(prompt="a red\x00 \x1b[31mapple\u202e", steps=2, count=1)
    assert member.spec(card)["prompt"] == "a red [31mapple"
    note = await member.wait_for_message("general", lambda m: m.ephemeral and "control characters" in m.text, 10)
    assert note.ephemeral


async def test_nobody_is_mentioned_by_a_prompt(member, moderator):
    prompt = f"@everyone @here <@{moderator.user_id}> <#{1}> [link](https://example.com) **bold** ||spoiler||"
    card = await member.imagine(prompt=prompt, steps=2, count=1)
    assert not card.raw["mention_everyone"]
    assert not card.raw["mention_roles"]
    assert {user["id"] for user in card.raw["mentions"]} == {member.user_id}
    assert "@everyone" not in card.text
    assert member.spec(card)["prompt"] == prompt
    # The same on a reply, in a list, in a style and in an ephemeral note.
    await moderator.react(card, "🔁")

    def is_reply(message):
        return (message.raw.get("message_reference") or {}).get("message_id") == card.id and message.media

    reply = await member.wait_for_message("general", is_reply, 60)
    # Whose it is, and whose picture it comes from.
    assert {user["id"] for user in reply.raw["mentions"]} == {moderator.user_id, member.user_id}
    assert not reply.raw["mention_everyone"]


async def test_a_button_of_a_picture_that_nobody_knows_says_so(member):
    card = await member.imagine(prompt="a star", steps=2, count=1)
    image = member.images(card)[0]["id"]
    member.product.execute("UPDATE images SET id = 'erased' WHERE id = ?", image)
    assert "no record of this picture" in await member.told(await member.click(card, "Creative"))
    member.product.execute("UPDATE images SET id = ? WHERE id = 'erased'", image)
    assert (await member.press(card, "Creative")).media
