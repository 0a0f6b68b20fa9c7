"""Tags are read, found and written as TagComplete does it (behaviours §23.2)."""

import pytest
from reference import vectors

from bot.domain.tag_texts import inserted
from bot.domain.tag_uses import bias
from bot.tags.entries import Tag, read_rows
from bot.tags.index import TagIndex


@pytest.mark.parametrize(("text", "expected"), vectors("tagcomplete_csv_parse"))
def test_a_list_is_read(text, expected):
    assert read_rows(text) == expected


def index_of(rows):
    parts = [row.split("|") for row in rows]
    return TagIndex(
        [Tag(p[0], "general", int(p[2]), tuple(a.lstrip("/") for a in p[3].split(",") if a)) for p in parts]
    )


@pytest.mark.parametrize(("given", "expected"), vectors("tagcomplete_search"))
def test_tags_are_found(given, expected):
    """Where TagComplete finds nothing for two words ours looks for a tag of two words."""
    found = [hit.tag.name for hit in index_of(given["csv"]).search(given["typed"])]
    assert found[: len(expected)] == expected
    if expected:
        assert set(found) - set(expected) <= {"chat"}  # after those, what only contains it


@pytest.mark.parametrize(("given", "expected"), vectors("tagcomplete_insert"))
def test_a_suggestion_is_written(given, expected):
    settings, lora = given["settings"], given["lora_info"] or {}
    end = given["cursor"]
    text, cursor = inserted(
        given["prompt"],
        end - len(given["typed"]),
        end,
        given["completion"],
        given["type"].removesuffix("File"),
        weight=lora.get("preferred weight", 1),
        words=lora.get("activation text", "") if settings.get("modelKeywordCompletion") == "Always" else "",
        underscores=settings.get("replaceUnderscores", True),
        brackets=settings.get("escapeParentheses", True),
        space=settings.get("appendSpace", True),
    )
    assert {"prompt": text, "cursor": cursor} == expected


@pytest.mark.parametrize(("given", "expected"), vectors("tagcomplete_usage_bias"))
def test_what_is_used_often_goes_up(given, expected):
    found = bias(given["count"], given["uses"], given["function"], least=given["min_uses"])
    assert found == pytest.approx(expected, abs=1e-4)
