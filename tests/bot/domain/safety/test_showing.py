"""The fate of a picture: every combination of what is known and what a server says."""

import itertools

import pytest

from bot.domain.safety.rules import Shown
from bot.domain.safety.showing import Circumstances, Fate, Reason, fate_of
from gpu_worker.protocol.safety import Looked


def around(**known):
    usual = {"names_minor": False, "from_upload": False, "adult_place": False, "expected": True}
    return Circumstances(**(usual | known))


def looked(nude=0.0, *, failed=False):
    return Looked(by="eyes", nude=nude, failed=failed)


@pytest.mark.parametrize(
    ("look", "known", "fate"),
    [
        (None, {"expected": False}, Fate(Shown.PLAIN)),
        (None, {}, Fate(Shown.BLOCK, Reason.UNSEEN)),
        (None, {"expected": False, "adult_text": True}, Fate(Shown.BLOCK, Reason.UNSEEN)),
        (looked(failed=True), {}, Fate(Shown.BLOCK, Reason.UNSEEN)),
        (looked(failed=True), {"adult_place": True, "adult_shown": Shown.PLAIN}, Fate(Shown.BLOCK, Reason.UNSEEN)),
        (looked(failed=True), {"names_minor": True}, Fate(Shown.BLOCK, Reason.MINOR)),
        (looked(0.49), {}, Fate(Shown.PLAIN)),
        (looked(0.5), {}, Fate(Shown.BLOCK, Reason.ADULT)),
        (looked(0.5), {"elsewhere_shown": Shown.BLUR}, Fate(Shown.BLUR)),
        (looked(0.5), {"elsewhere_shown": Shown.SPOILER}, Fate(Shown.BLOCK, Reason.ADULT)),
        (looked(0.5), {"elsewhere_shown": Shown.PLAIN}, Fate(Shown.BLOCK, Reason.ADULT)),
        (looked(0.9), {"adult_place": True}, Fate(Shown.SPOILER)),
        (looked(0.9), {"adult_place": True, "adult_shown": Shown.PLAIN}, Fate(Shown.PLAIN)),
        (looked(0.9), {"adult_place": True, "adult_shown": Shown.BLOCK}, Fate(Shown.BLOCK, Reason.ADULT)),
        (looked(0.2), {"names_minor": True, "adult_place": True}, Fate(Shown.BLOCK, Reason.MINOR)),
        (looked(0.19), {"names_minor": True}, Fate(Shown.PLAIN)),
        (looked(0.2), {"from_upload": True, "adult_place": True}, Fate(Shown.BLOCK, Reason.UPLOAD)),
        (looked(0.9), {"from_upload": True, "names_minor": True}, Fate(Shown.BLOCK, Reason.MINOR)),
    ],
)
def test_fates(look, known, fate):
    assert fate_of(look, around(**known)) == fate


def test_no_setting_shows_a_nude_picture_of_a_minor_or_of_an_upload_or_outside_an_adult_place():
    for adult, elsewhere, place in itertools.product(Shown, Shown, (True, False)):
        known = {"adult_shown": adult, "elsewhere_shown": elsewhere, "adult_place": place}
        for strict in ("names_minor", "from_upload"):
            assert fate_of(looked(0.3), around(**known, **{strict: True})).shown is Shown.BLOCK
        if not place:
            assert fate_of(looked(0.8), around(**known)).shown in (Shown.BLUR, Shown.BLOCK)
