from itertools import groupby

from PIL import Image, ImageDraw

from bot.grids.fonts import set_text


def gaps(text, size_px):
    """Widths in pixels of the white between letters, from left to right."""
    (run,) = set_text(text, size_px).runs
    page = Image.new("L", (400, 60), 255)
    ImageDraw.Draw(page).text((4, 8), run.text, font=run.font, fill=0)
    left, _, right, _ = page.point(lambda value: 255 * (value < 220)).getbbox()
    inked = [min(page.crop((x, 0, x + 1, 60)).tobytes()) < 220 for x in range(left, right)]
    return [len(list(columns)) for ink, columns in groupby(inked) if not ink]


def test_words_of_small_titles_stand_apart():
    for size_px in (10, 12, 14):
        *letters, space = sorted(gaps("night sky", size_px))
        assert space > max(letters), size_px


def test_what_needs_shaping_is_shaped_at_any_size():
    assert set_text("مرحبا", 10).width < sum(set_text(sign, 10).width for sign in "مرحبا")
