"""Captions are made of known words, so that what was never seen can be told from what was."""

from demo_kit.captions import all_words
from demo_kit.networks import tokens
from demo_kit.scenes import scene_of, stream


def test_captions_hold_no_token_that_the_list_of_words_lacks():
    known = set(tokens(all_words()).unique().tolist())
    rng = stream(11)
    used = set(tokens([scene_of(rng).caption for _ in range(500)]).unique().tolist())
    assert used <= known
    assert len(known) < 400
