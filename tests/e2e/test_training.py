"""A LoRA from pictures in a chat: real processes, from a data set to a file that draws."""

from __future__ import annotations

import io
import json
import zipfile

from PIL import Image, ImageDraw


def discs() -> bytes:
    """A ZIP of red discs on blue, with their captions."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for n in range(4):
            picture = Image.new("RGB", (128, 128), (40, 60, 160))
            draw = ImageDraw.Draw(picture)
            left, top = 8 + 64 * (n % 2), 8 + 64 * (n // 2)
            draw.ellipse((left, top, left + 48, top + 48), (210, 40, 40))
            data = io.BytesIO()
            picture.save(data, "PNG")
            archive.writestr(f"p{n}.png", data.getvalue())
            archive.writestr(f"p{n}.txt", f"zorb, a red disc, place {n}")
    return out.getvalue()


async def test_from_pictures_to_a_lora_that_draws(product, member):
    form = await member.slash("general", "dataset create", {"name": "zorbs", "repeats": 2})
    made = await member.submit_modal(form, {"consent": True})
    await member.shown("general", made.message_id, lambda m: not m.loading, 30)
    answer = await member.slash("general", "dataset add", {"name": "zorbs"}, {"file1": ("zorbs.zip", discs())})
    await member.shown("general", answer.message_id, lambda m: not m.loading, 60)
    options = {"dataset": "zorbs", "base": "pincel-demo", "trigger": "zorb"}
    answer = await member.slash("general", "train start", options)
    desk = await member.shown("general", answer.message_id, lambda m: not m.loading, 30)
    assert "resolution 128" in desk.text
    form = await member.click(desk, "Steps and files")
    await member.submit_modal(form, {"max_train_epochs": "1"})
    desk = await member.shown("general", desk.id, lambda m: "**4 steps**" in m.text, 30)
    card = await member.click(desk, "Start")
    # The loss, and what the trained file draws.
    done = await member.shown(
        "general", card.message_id, lambda m: "Trained: 4 steps" in m.text and len(m.media) == 2, 240
    )
    assert "`zorbs` · " in done.text
    samples = product.rows("SELECT * FROM images WHERE action = 'sample' ORDER BY created_at")
    assert ["<lora:zorbs:1>" in row["infotext"] and "Lora hashes" in row["infotext"] for row in samples] == [True, True]
    (row,) = product.rows("SELECT * FROM trainings")
    assert (row["step"], row["of_steps"], len(json.loads(row["curve"])) > 1) == (4, 4, True)
    # It draws for whoever trained it.
    drawn = await member.imagine(prompt="zorb <lora:zorbs:1>", seed=5, steps=4, count=1)
    (picture,) = await member.pictures(drawn)
    assert picture.width == 128
