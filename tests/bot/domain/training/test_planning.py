"""What becomes of a training's wish: steps, buckets, advice, samples; and what cannot be."""

import pytest

from bot.domain.limits import DEFAULT_LIMITS
from bot.domain.training.datasets import Folder, Picture
from bot.domain.training.planning import build_train, planned
from bot.domain.training.sampling import build_samples, default_samples, with_epoch
from bot.domain.training.wishes import changed, configured, first_wish, fitted
from bot.errors import UserFacingError
from gpu_worker.language.training.config import read_config
from gpu_worker.language.training.config_errors import ConfigError
from gpu_worker.protocol.messages import ModelFact

BASE = ModelFact(kind="checkpoint", name="base", family="sd1", native_px=512)
SMALL = ModelFact(kind="checkpoint", name="small", family="sd1", native_px=128)
LARGE = ModelFact(kind="checkpoint", name="large", family="sdxl", native_px=1024)
FACTS = (BASE, SMALL, LARGE)


def folder(id_="f", repeats=10, tokens="zorb", is_reg=False):
    return Folder(id_, "d", repeats, tokens, is_reg, 1)


def pictures(count, size=(512, 512), folder_id="f", caption="zorb, a disc"):
    sha256 = f"{folder_id}{size[0]}{size[1]}"
    return [
        Picture(f"{folder_id}{n}", folder_id, f"{sha256}{n:056}", "image/png", *size, 9, n, f"p{n}", caption, "", n, 0)
        for n in range(count)
    ]


def wish(base=BASE, **changes):
    made = first_wish("character", base).model_copy(update={"name": "zorb", "dataset_id": "d", "trigger": "zorb"})
    return changed(made, changes.pop("values", {})).model_copy(update=changes)


def plan(given, folders, held, steps_max=20_000):
    return planned(build_train(given, folders, held, FACTS, 5), given, held, steps_max)


def values(**named):
    parts = {"batch_size": "rules", "keep_tokens": "subset"}
    return {(parts.get(key, "parameters"), key): value for key, value in named.items()}


def test_a_miniature_gets_rates_that_teach_it_and_chosen_ones_stay():
    def rates(given):
        return given.parameters.unet_lr, given.parameters.text_encoder_lr

    small = wish(SMALL)
    assert rates(small) == (1e-3, 2e-4)
    assert rates(fitted(small, BASE)) == rates(wish(BASE)) == (1e-4, 5e-5)
    assert rates(fitted(wish(BASE), SMALL)) == (1e-3, 2e-4)
    chosen = changed(small, values(unet_lr=3e-4))
    assert rates(fitted(chosen, BASE)) == rates(fitted(chosen, SMALL)) == (3e-4, 2e-4)


@pytest.mark.parametrize(
    ("held", "options", "steps"),
    [  # behaviours §24.3
        (pictures(20), {"batch_size": 1}, 2000),
        (pictures(20), {"batch_size": 2}, 1000),
        ([*pictures(15), *pictures(5, (384, 640))], {"batch_size": 4}, 510),
        (pictures(20), {"batch_size": 2, "gradient_accumulation_steps": 4}, 250),
        (pictures(20), {"max_train_epochs": None, "max_train_steps": 1600}, 1600),
    ],
)
def test_steps_are_those_of_the_buckets(held, options, steps):
    found = plan(wish(values=values(**options)), [folder()], held)
    assert found.length.total_steps == steps
    assert found.images_per_epoch == 200


def test_pictures_of_the_class_double_the_steps_and_count_as_no_pictures_to_learn_from():
    folders = [folder(), folder("r", 1, "disc", is_reg=True)]
    held = [*pictures(4), *pictures(2, folder_id="r")]
    found = plan(wish(values=values(batch_size=1)), folders, held)
    assert (found.pictures, found.images_per_epoch, found.length.batches_per_epoch) == (4, 80, 80)
    with pytest.raises(UserFacingError) as refused:
        plan(wish(), folders, [*pictures(2), *pictures(9, folder_id="r")])
    assert refused.value.key == "train_few"


@pytest.mark.parametrize(
    ("base", "sizes"), [(BASE, (512, 256, 1024, 64)), (SMALL, (128, 64, 256, 32)), (LARGE, (1024, 512, 2048, 64))]
)
def test_the_size_is_the_bases_own(base, sizes):
    rules = wish(base).rules
    assert (rules.resolution[0], rules.min_bucket_reso, rules.max_bucket_reso, rules.bucket_reso_steps) == sizes
    assert wish(base).parameters.clip_skip == (2 if base is BASE else None), "learnt as the base is drawn with"
    assert plan(wish(base), [folder()], pictures(4)).spec.checkpoint == base.name


def test_a_picture_without_a_caption_begins_with_its_folders_words():
    mixed = [*pictures(10), *pictures(5, (256, 512), caption=None)]
    assert "train_trigger_missing" not in {note.key for note in plan(wish(), [folder()], mixed).notes}
    (told,) = [note for note in plan(wish(), [folder(tokens="disc")], mixed).notes if note.key.endswith("missing")]
    assert (told.values["n"], told.values["of"]) == (5, 15)


def test_what_the_guide_says_is_told():
    captions = {"caption": "a disc"}
    found = plan(wish(values=values(keep_tokens=0)), [folder(repeats=50)], pictures(9, (64, 64), **captions))
    assert [note.key for note in found.notes] == [
        "train_few_pictures", "train_many_repeats", "train_trigger_missing", "train_keep_tokens",
        "train_small_pictures",
    ]  # fmt: skip
    assert not plan(wish(), [folder()], pictures(20)).notes
    silent = plan(wish(), [folder(tokens="")], pictures(20, caption=None))
    assert "train_without_caption" in [note.key for note in silent.notes]


def test_what_cannot_be_is_refused():
    narrow = wish(values={("rules", "bucket_no_upscale"): True})
    for given, held, key in (
        (narrow, [*pictures(4), *pictures(1, (700, 40))], "train_narrow"),
        (wish(), pictures(600, caption="a" * 4000), "train_captions_long"),
        (wish(values={("parameters", "max_train_epochs"): 51}), pictures(4), "train_saves"),
        (wish(values={("parameters", "save_every_n_steps"): 3}), pictures(20), "train_saves"),
        (wish(name=".zorb"), pictures(4), "train_name"),
        (wish(name="\N{HERB}\N{CAT FACE}" * 30), pictures(4), "train_name"),
        *((wish(name=bad), pictures(4), "train_name") for bad in ("None", "con", "zorb.", "zorb\u202egpj")),
    ):
        with pytest.raises(UserFacingError) as refused:
            plan(given, [folder()], held)
        assert refused.value.key == key


def test_samples_come_of_the_trigger_word_and_are_drawn_side_by_side():
    lines = default_samples(wish(), [folder()], pictures(4))
    assert lines == ("zorb", "zorb, a disc")
    assert default_samples(wish(trigger=""), [folder()], pictures(4, caption=None)) == ("zorb",)
    tagged = pictures(4, caption="<lora:other:1>, a disc")
    assert default_samples(wish(), [folder()], tagged) == ("zorb", "zorb, a disc")
    given = ("zorb --n bad --w 256 --h 320 --d 7 --s 12 --l 5 --ss euler_a", "zorb at night")
    spec = build_samples(given, "base", "Automatic", 2, FACTS, DEFAULT_LIMITS)
    assert (spec.width, spec.height, spec.seed, spec.steps, spec.cfg_scale) == (256, 320, 7, 12, 5)
    assert (spec.sampler, spec.clip_skip, spec.count) == ("Euler a", 2, 2)
    drawn = with_epoch(spec, "zorb-000001")
    assert [own.prompt for own in drawn.texts] == ["zorb <lora:zorb-000001:1>", "zorb at night <lora:zorb-000001:1>"]
    assert [own.negative_prompt for own in drawn.texts] == ["bad", ""]
    assert drawn.prompt == drawn.texts[0].prompt
    for lines, key in ((("a --s 5", "b --s 6"), "train_samples_differ"), (("a", "b --d 5"), "train_samples_seed")):
        with pytest.raises(UserFacingError) as refused:
            build_samples(lines, "base", "Automatic", None, FACTS, DEFAULT_LIMITS)
        assert refused.value.key == key


def test_a_configuration_file_says_everything_and_a_value_can_be_taken_back():
    read = configured(wish(), read_config('network_dim = 8\nnetwork_alpha = 4\noutput_name = "disc"\nseed = 3'))
    assert (read.name, read.preset, read.parameters.network_dim) == ("disc", "file", 8)
    assert read.parameters.unet_lr is None
    assert changed(read, values(network_dim=None)).parameters.network_dim == 4
    assert plan(read, [folder()], pictures(4)).spec.seed == 3
    with pytest.raises(ConfigError, match="random_crop"):
        changed(wish(), {("subset", "random_crop"): True})
