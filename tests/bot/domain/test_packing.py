"""No part of an export is larger than it may be, and nothing is left out."""

from hypothesis import given
from hypothesis import strategies as st

from bot.domain.packing import ENTRY_BYTES, PART_BYTES, entry_name, parts_of


@given(st.lists(st.integers(0, 60_000), max_size=60), st.integers(8_000, 50_000))
def test_parts_hold_everything_in_order_and_fit(sizes, limit):
    parts = parts_of(sizes, limit)
    assert [one.index for part in parts for one in part] == list(range(len(sizes)))
    for part in parts:
        assert part
        if all(one.fits for one in part):
            assert sum(sizes[one.index] + ENTRY_BYTES for one in part) + PART_BYTES <= limit
        else:
            assert len(part) == 1


def test_parts_are_as_few_as_the_order_allows():
    assert len(parts_of([1000] * 10, 10 * (1000 + ENTRY_BYTES) + PART_BYTES)) == 1
    assert len(parts_of([1000] * 11, 10 * (1000 + ENTRY_BYTES) + PART_BYTES)) == 2


def test_names_are_plain_and_short():
    assert entry_name("2026-11-03", "A red fox, <lora:ink:1>!", 7, "abc", ".png") == "2026-11-03_a-red-fox_7_abc.png"
    assert entry_name("2026-11-03", "富士山 / ..\\..", 7, "abc", ".png") == "2026-11-03_7_abc.png"
    assert len(entry_name("2026-11-03", "x" * 5000, 2**64, "i" * 16, ".webp")) <= 120
