"""What "use in next picture" keeps, and what a request gets of it."""

import pytest

from bot.domain.next_picture import NextPicture, chosen, taken
from bot.domain.parameters import Parameters
from gpu_worker.protocol.messages import ModelFact

SD1, XL = ModelFact(kind="checkpoint", name="a", family="sd1"), ModelFact(kind="checkpoint", name="x", family="sdxl")
FACTS = (
    SD1,
    XL,
    ModelFact(kind="vae", name="v", family="sd1"),
    ModelFact(kind="lora", name="ink", family="sd1"),
    ModelFact(kind="lora", name="xl ink", family="sdxl"),
    ModelFact(kind="lora", name="secret", problem="disabled"),
    ModelFact(kind="embedding", name="easy", family="sd1"),
    ModelFact(kind="embedding", name="hidden", problem="disabled"),
    ModelFact(kind="upscaler", name="4x"),
)


def test_the_newest_checkpoint_counts_and_loras_add_up():
    wish = NextPicture()
    for kind, name in [("checkpoint", "a"), ("lora", "ink"), ("checkpoint", "x"), ("lora", "xl ink"), ("lora", "ink")]:
        wish = chosen(wish, kind, name)
    assert wish == NextPicture(checkpoint="x", loras=("ink", "xl ink"))
    for number in range(20):
        wish = chosen(wish, "lora", str(number))
    assert wish.loras == tuple(map(str, range(12, 20)))


def test_words_stay_within_bounds_and_once():
    wish = chosen(NextPicture(), "lora", "ink", ["inkstyle", "wash"])
    wish = chosen(wish, "lora", "ink", ["inkstyle"])
    assert wish.words == ("inkstyle", "wash")
    assert sum(map(len, chosen(wish, "lora", "y", ["w" * 400, "z" * 400]).words)) <= 500


def test_what_no_request_names_cannot_be_chosen():
    with pytest.raises(ValueError, match="annotator"):
        chosen(NextPicture(), "annotator", "openpose")


def test_everything_that_fits_is_taken():
    wish = NextPicture(checkpoint="a", vae="v", upscaler="4x", loras=("ink",), words=("inkstyle", "easy"))
    found = taken(wish, Parameters(), SD1, FACTS)
    assert found.base == Parameters(checkpoint="a", vae="v", hires_upscaler="4x")
    assert (found.loras, found.words) == (("ink",), "inkstyle, easy")
    (note,) = found.notes
    assert note.key == "next_used"
    assert note.values["names"] == "ink, a, v, 4x, easy"


def test_what_is_gone_disabled_or_of_another_family_is_left_out_and_named():
    wish = NextPicture(vae="v", loras=("ink", "xl ink", "secret", "gone"), words=("plain", "hidden"))
    found = taken(wish, Parameters(), XL, FACTS)
    assert found.base == Parameters()
    assert (found.loras, found.words) == (("xl ink",), "plain")
    assert [note.key for note in found.notes] == ["next_used", "next_left_out"]
    assert found.notes[1].values["names"] == "ink, secret, gone, v, hidden"


def test_what_is_typed_goes_before_it():
    wish = NextPicture(checkpoint="a", vae="v", upscaler="4x")
    found = taken(wish, Parameters(checkpoint="x", vae="None", hires_upscaler="Lanczos"), XL, FACTS)
    assert found.base == Parameters()
    assert found.notes == ()
