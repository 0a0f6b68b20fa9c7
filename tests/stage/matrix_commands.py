"""Every slash command with the least it needs; a new one that is not named here fails a test."""

from __future__ import annotations

import io

from PIL import Image

from tests.stage.matrix import Given
from tests.stage.pictures_given import INFOTEXT, picture

__all__ = ["COMMANDS", "MENUS"]


def _mask() -> bytes:
    made = Image.new("L", (96, 64), 0)
    made.paste(255, (0, 0, 48, 64))
    out = io.BytesIO()
    made.save(out, "PNG")
    return out.getvalue()


PICTURE = ("a.png", picture(INFOTEXT))
NAME, MODEL = Given({"name": "neon"}), Given({"model": "dreamy"})

COMMANDS: dict[str, Given] = {
    "imagine": Given({"prompt": "a red apple", "count": 1}),
    "inpaint": Given({"prompt": "a hat", "count": 1}, {"image": PICTURE, "mask": ("mask.png", _mask())}),
    "control": Given({"prompt": "a boat", "count": 1}, {"image": PICTURE}),
    "blend": Given(files={"image1": PICTURE, "image2": ("b.png", picture())}),
    "matrix": Given({"prompt": "a red apple|at night"}),
    "plot": Given({"prompt": "a red apple", "x_type": "Steps", "x_values": "5,10"}),
    "train start": Given(),
    "train list": Given(),
    "train show": Given(),
    "train pause": Given(),
    "train resume": Given(),
    "train cancel": Given(),
    "train publish": Given({"training": "zorb"}),
    "train compare": Given({"training": "zorb"}),
    "train file": Given({"training": "zorb"}),
    "train delete": Given({"training": "zorb"}),
    "random": Given(),
    "repeat": Given(),
    "png-info": Given(files={"image": PICTURE}),
    "describe": Given(files={"image": PICTURE}),
    "upscale": Given(files={"image": PICTURE}),
    "ultimate": Given(files={"image": PICTURE}),
    "detail-fix": Given(files={"image": PICTURE}),
    "regions": Given({"prompt": "a beach", "region1": "a fox", "region2": "a robot"}),
    "preprocess": Given({"preprocessor": "canny"}, {"image": PICTURE}),
    "history": Given(),
    "tags": Given(),
    "dataset create": Given({"name": "Mina"}),
    "dataset add": Given({"name": "mychar"}, {"file1": PICTURE}),
    "dataset show": Given(),
    "dataset export": Given({"name": "mychar"}),
    "dataset folder add": Given({"name": "mychar", "repeats": 2}),
    "dataset folder change": Given({"name": "mychar", "folder": "2_", "repeats": 3}),
    "dataset folder remove": Given({"name": "mychar", "folder": "3_"}),
    "dataset tags": Given({"name": "mychar"}),
    "dataset delete": Given({"name": "mychar"}),
    "queue": Given(),
    "cancel": Given(),
    "quota": Given(),
    "help": Given(),
    "settings": Given(),
    "models": Given(),
    "loras": Given(),
    "style save": Given({"name": "neon"}),
    "style list": Given(),
    "style show": NAME,
    "style versions": NAME,
    "style share": Given({"names": "neon"}),
    "style export": Given(),
    "style import": Given(files={"file": ("styles.csv", b"name,prompt,negative_prompt\nink,ink {prompt},blurry\n")}),
    "style propose": NAME,
    "style review": Given(),
    "style rename": Given({"name": "neon", "new_name": "neon two"}),
    "style delete": Given({"name": "neon two"}),
    "wildcards list": Given(),
    "wildcards add": Given(files={"file": ("hats.txt", b"top hat\nbeanie\n")}),
    "wildcards remove": Given({"file": "hats"}),
    "model-admin add": Given({"links": "https://example.com/model.safetensors"}),
    "model-admin install": Given({"name": "nothing-of-this-name"}),
    "model-admin downloads": Given(),
    "model-admin remove": MODEL,
    "model-admin rename": Given({"model": "dreamy", "name": "dreamier"}),
    "model-admin note": MODEL,
    "model-admin preview": MODEL,
    "model-admin info": MODEL,
    "model-admin refresh": Given(),
    "model-admin enable": MODEL,
    "model-admin disable": Given({"model": "photo-xl"}),
    "model-admin rules": Given(),
    "model-admin defaults": Given(),
    "model-admin favourite": MODEL,
    "model-admin test": MODEL,
    "model-admin convert": MODEL,
    "model-admin merge": Given({"first": "dreamy", "second": "dreamy-inpainting"}),
    "model-admin bake": Given({"checkpoint": "dreamy", "loras": "inkwash"}),
    "model-admin audit": Given(),
    "model-admin unused": Given(),
    "model-admin disk": Given(),
    "panel": Given(),
    "setup": Given(),
    "usage": Given(),
    "doctor": Given(),
    "backup": Given(),
    "addons": Given(),
    "prompt-log": Given(),
    "workers list": Given(),
    "workers add": Given({"name": "garage"}),
    "workers drain": Given({"name": "w1"}),
    "workers resume": Given({"name": "w1"}),
    "workers remove": Given({"name": "garage"}),
    "retention": Given(),
    "starboard channel": Given({"channel": "#studio"}),
    "starboard threshold": Given({"people": 2}),
    "starboard off": Given(),
    "limits": Given(),
    "moderation words add": Given({"words": "turnip"}),
    "moderation words list": Given(),
    "moderation words test": Given({"text": "a turnip"}),
    "moderation words remove": Given({"words": "turnip"}),
    "moderation ban": Given({"user": "@Other", "reason": "spam"}),
    "moderation list": Given(),
    "moderation unban": Given({"user": "@Other"}),
    "moderation log": Given(),
    "forget-me": Given(),
}
"""In an order in which each finds what it needs."""

MENUS = ("Picture info", "Upscale", "Describe", "Use as image prompt", "Save as style", "Add to dataset")
