"""A request with what was chosen for the next picture."""

from functools import partial
from random import Random

from bot.domain.imagine import ImagineOptions, build_imagine
from bot.domain.limits import Limits
from bot.domain.next_picture import NextPicture
from bot.domain.next_request import with_next_picture
from bot.domain.parameters import Parameters
from bot.domain.pictures import GivenPicture
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import ImageRef

FACTS = (
    ModelFact(kind="checkpoint", name="a", family="sd1", native_px=512),
    ModelFact(kind="checkpoint", name="x", family="sdxl", native_px=1024),
    ModelFact(kind="vae", name="v", family="sd1"),
    ModelFact(kind="lora", name="ink", family="sd1"),
    ModelFact(kind="upscaler", name="4x"),
)


def built(prompt, wish, wishes=None, picture=None, **more):
    build = partial(build_imagine, facts=FACTS, limits=Limits(), rng=Random(1), **more)
    options = ImagineOptions(prompt, wishes=wishes or Parameters(), picture=picture)
    found, left = with_next_picture(wish, options, build, FACTS)
    return found.spec, [note.key for note in found.notes], left


def test_nothing_chosen_changes_nothing():
    spec, notes, left = built("a cat", NextPicture())
    assert (spec.prompt, spec.checkpoint, notes, left) == ("a cat", "a", [], NextPicture())


def test_words_and_tags_stand_behind_what_was_typed_and_before_no_flag():
    spec, notes, left = built("a cat, --steps 5", NextPicture(loras=("ink",), words=("inky", "wet")))
    assert spec.prompt == "a cat, inky, wet <lora:ink:1>"
    assert spec.steps == 5
    assert (notes, left.empty) == (["next_used"], True)


def test_a_flag_or_an_option_names_another_checkpoint():
    wish = NextPicture(checkpoint="x", loras=("ink",))
    spec, notes, _ = built("a cat --model a", wish)
    assert (spec.checkpoint, spec.prompt, notes) == ("a", "a cat <lora:ink:1>", ["next_used"])
    spec, notes, _ = built("a cat", wish, Parameters(checkpoint="a"))
    assert spec.checkpoint == "a"
    # Without one the chosen checkpoint draws, and the LoRA of another family is left out.
    spec, notes, _ = built("a cat", wish)
    assert (spec.checkpoint, spec.prompt) == ("x", "a cat")
    assert notes == ["next_used", "next_left_out"]


def test_it_stands_over_the_servers_defaults():
    spec, _, _ = built("a cat", NextPicture(checkpoint="x"), server_defaults=Parameters(checkpoint="a", vae="v"))
    # And the server's VAE, which was chosen for another checkpoint, stays away.
    assert (spec.checkpoint, spec.vae) == ("x", "Automatic")


def test_an_upscaler_enlarges_and_waits_while_pictures_are_given():
    wish = NextPicture(upscaler="4x", loras=("ink",))
    given = GivenPicture(ImageRef(ref="input:0", sha256="0" * 64, mime="image/png", size_bytes=1), 512, 512)
    spec, notes, left = built("a cat", wish, picture=given)
    assert (spec.kind, notes, left) == ("img2img", ["next_used"], NextPicture(upscaler="4x"))
    spec, notes, left = built("a cat", left)
    assert (spec.hires.upscaler, notes, left.empty) == ("4x", ["next_used"], True)


def test_what_is_gone_stops_no_picture():
    spec, notes, left = built("a cat", NextPicture(checkpoint="gone", loras=("gone too",)))
    assert (spec.checkpoint, spec.prompt, notes, left.empty) == ("a", "a cat", ["next_left_out"], True)
