"""custom_ids: addresses that come back as they went out, and nothing else is taken for one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.ids import new_image_id, new_job_id
from bot.ui.codec import TEMPLATE, VERBS, Address, Verb, encode, parse

IDS = st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=25)
NUMBERS = st.none() | st.integers(0, 999)


@settings(deadline=None)  # the machine may be busy
@given(st.sampled_from(sorted(VERBS)), IDS, NUMBERS)
def test_what_is_encoded_comes_back(verb, id_, n):
    text = encode(verb, id_, n)
    assert parse(text) == Address(verb, id_, n)
    assert 1 <= len(text) <= 100
    assert TEMPLATE.fullmatch(text)


@settings(deadline=None)  # the machine may be busy
@given(st.text(max_size=120))
def test_any_text_is_an_address_or_none(text):
    address = parse(text)
    assert address is None or encode(address.verb, address.id, address.n) == text


@settings(deadline=None)  # the machine may be busy
@given(st.sampled_from(sorted(VERBS)), IDS, NUMBERS, st.text(min_size=1, max_size=9))
def test_only_whole_ids_match(verb, id_, n, more):
    """discord.py builds an item on a mere prefix match, so the template has to end."""
    text = encode(verb, id_, n)
    if TEMPLATE.match(text + more):
        assert TEMPLATE.fullmatch(text + more)
    assert TEMPLATE.match("x" + text) is None
    assert TEMPLATE.match(text + "\n") is None


@pytest.mark.parametrize(
    "text", ["", "v1", "v2:vary:abc", "v1:dance:abc", "v1:vary:ABC", "v1:vary:abc:01", "v1:vary:abc:1000", "v1:vary:",
             "v1:vary:" + "a" * 26, "v1:vary:abc:", "v1:vary:abc:1:2", "v1:vary:äbc"]
)  # fmt: skip
def test_what_we_never_gave_out_is_unknown(text):
    assert parse(text) is None


@pytest.mark.parametrize(
    ("verb", "id_", "n"), [("dance", "abc", None), ("vary", "", 1), ("vary", "a:b", 1), ("vary", "a", -1)]
)
def test_what_would_not_come_back_is_refused(verb, id_, n):
    with pytest.raises(ValueError, match="no address"):
        encode(verb, id_, n)


def test_our_own_ids_are_addresses():
    assert parse(encode(Verb.VARY, new_image_id(), 2)).n == 2
    assert parse(encode(Verb.REROLL, new_job_id())).verb == Verb.REROLL
