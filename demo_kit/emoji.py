"""`python -m demo_kit.emoji`: draws the world's objects from a font into the sheet of sprites that all else reads.

Needs Noto Color Emoji (SIL Open Font License 1.1; Debian's fonts-noto-color-emoji) and the names of emojibase-data
(MIT; from npm). Version 2.042 of the font and 17.0.0 of the names made the sheet that is committed.
"""

import json
import os
import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from demo_kit.sprites import SHEET, SHEET_COLUMNS, SPRITE_PX
from demo_kit.words import CHARACTER, OBJECTS

STRIKE_PX = 109
"""The one size of Noto Color Emoji's bitmaps."""
FONT = Path(os.environ.get("PINCEL_EMOJI_FONT", "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"))
NAMES = Path(os.environ.get("PINCEL_EMOJI_NAMES", "node_modules/emojibase-data/en/data.json"))


def _sprite(emoji: str, font: ImageFont.FreeTypeFont) -> Image.Image:
    """An emoji cut to its outline, in the middle of a square."""
    canvas = Image.new("RGBA", (160, 160), (0, 0, 0, 0))
    ImageDraw.Draw(canvas).text((10, 10), emoji, font=font, embedded_color=True)
    cut = canvas.crop(canvas.getbbox())
    side = max(cut.size)
    square = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    square.paste(cut, ((side - cut.width) // 2, (side - cut.height) // 2))
    return square.resize((SPRITE_PX, SPRITE_PX), Image.Resampling.LANCZOS)


def main() -> int:
    """Exit code 0, or 1 with a sentence about what is missing."""
    for path, hint in ((FONT, "apt-get install fonts-noto-color-emoji"), (NAMES, "npm install emojibase-data")):
        if not path.is_file():
            print(f"{path} is missing: {hint}, or name it by PINCEL_EMOJI_FONT or PINCEL_EMOJI_NAMES.")  # noqa: T201
            return 1
    emoji = {entry["label"]: entry["emoji"] for entry in json.loads(NAMES.read_text(encoding="utf-8"))}
    font = ImageFont.truetype(str(FONT), STRIKE_PX)
    labels = [*OBJECTS.values(), CHARACTER]
    rows = -(-len(labels) // SHEET_COLUMNS)
    sheet = Image.new("RGBA", (SHEET_COLUMNS * SPRITE_PX, rows * SPRITE_PX), (0, 0, 0, 0))
    for place, label in enumerate(labels):
        corner = (place % SHEET_COLUMNS * SPRITE_PX, place // SHEET_COLUMNS * SPRITE_PX)
        sheet.paste(_sprite(emoji[label], font), corner)
    sheet.save(SHEET, lossless=True, exact=True, quality=100, method=6)
    return 0


if __name__ == "__main__":
    sys.exit(main())
