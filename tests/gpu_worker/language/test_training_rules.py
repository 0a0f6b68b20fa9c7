"""The pure rules of training that no vector holds."""

import random
from dataclasses import replace

import pytest

from gpu_worker.language.training.advice import memory_setting
from gpu_worker.language.training.buckets import bucket_sizes, select_bucket
from gpu_worker.language.training.captions import process_caption
from gpu_worker.language.training.metadata import DatasetFacts, FolderFacts, RunFacts, training_metadata
from gpu_worker.language.training.outputs import saves_epoch, step_to_remove
from gpu_worker.language.training.parameters import DatasetRules, Parameters, SubsetRules
from gpu_worker.language.training.samples import read_sample_line, read_sample_lines
from gpu_worker.language.training.steps import regularisation_repeats, training_length
from gpu_worker.language.training.tag_editor import common_tags, read_tags, sort_tags, tag_counts, truncate


def test_the_last_epoch_has_the_final_name_alone():
    assert [epoch for epoch in range(1, 11) if saves_epoch(epoch, 10, 2)] == [2, 4, 6, 8]


def test_steps_kept_are_counted_in_steps():
    assert step_to_remove(50, 10, 30) == 10
    assert step_to_remove(30, 10, 30) is None


def test_steps_decide_where_no_epochs_are_given():
    length = training_length(7, max_train_epochs=None, max_train_steps=16, accumulation=2)
    assert (length.steps_per_epoch, length.epochs, length.total_steps) == (4, 4, 16)
    with pytest.raises(ValueError, match="no pictures"):
        training_length(0, max_train_epochs=1, max_train_steps=1, accumulation=1)


@pytest.mark.parametrize(
    ("repeats", "wanted", "expected"),
    [([1, 1, 1], 7, [3, 2, 2]), ([5, 5], 3, [5, 0]), ([], 3, []), ([2, 1], 3, [2, 1])],
)
def test_pictures_of_the_class_are_as_many_as_those_of_what_is_learnt(repeats, wanted, expected):
    assert regularisation_repeats(repeats, wanted) == expected


def test_tags_warm_up():
    rules = SubsetRules(token_warmup_step=0.5, token_warmup_min=1, keep_tokens=1)
    counts = [
        len(process_caption("t, a, b, c, d, e", rules, random.Random(0), step=step, steps=20).split(", "))
        for step in (0, 5, 10, 19)
    ]
    assert counts == [2, 4, 6, 6]


def test_captions_are_dropped_in_every_nth_epoch():
    rules = SubsetRules(caption_dropout_every_n_epochs=2)
    assert [process_caption("a", rules, random.Random(0), epoch=epoch) for epoch in (1, 2, 3)] == ["a", "", "a"]


def test_secondary_separators_become_separators():
    rules = SubsetRules(shuffle_caption=True, keep_tokens=3, secondary_separator=";;;")
    assert process_caption("a;;;b, c", rules, random.Random(0)) == "a,b, c"


def test_a_sliver_has_no_bucket():
    sizes = bucket_sizes((512, 512), 256, 1024, 64)
    with pytest.raises(ValueError, match="leaves nothing"):
        select_bucket((60_000, 20), sizes, (512, 512), 64, no_upscale=True)
    with pytest.raises(ValueError, match="leaves nothing"):
        select_bucket((40, 300), sizes, (512, 512), 64, no_upscale=True)


def test_sample_lines_survive_anything():
    assert read_sample_line(f"a --s {'9' * 5000} --l 1.2.3 --w ").prompt == "a"
    assert [line.prompt for line in read_sample_lines("# no\n\n a cat\nb")] == ["a cat", "b"]


def test_tags_are_sorted_counted_and_cut():
    captions = [read_tags("b, a, , c"), read_tags("c,a,a")]
    assert common_tags(captions) == ("a", "c")
    assert tag_counts(captions) == {"a": 2, "c": 2, "b": 1}
    assert sort_tags(("t", "bb", "a", "ccc"), "length", descending=True, keep=1) == ("t", "ccc", "bb", "a")
    assert sort_tags(captions[0], "frequency", counts=tag_counts(captions), descending=True) == ("a", "c", "b")
    assert truncate(("a", "b", "c"), 4, len) == ("a", "b")


def test_memory_advice_ends():
    given, size, batch, said = Parameters(network_dim=128), 1024, 8, []
    while (advice := memory_setting(given, batch, size)) is not None:
        key, value = advice
        said.append(key)
        if key == "train_batch_size":
            batch = int(value)
        elif key == "resolution":
            size = int(value)
        else:
            read = {"true": True}.get(value, int(value) if value.isdecimal() else value)
            given = given.model_copy(update={key: read})
    assert said[0] == "gradient_checkpointing"
    assert {"train_batch_size", "mixed_precision", "network_train_unet_only", "network_dim", "resolution"} < {*said}


def test_a_file_names_its_base_and_vae_by_all_their_hashes():
    run = RunFacts(
        session="1", started_at=0.0, finished_at=1.0, output_name="zorb", family="sd1", predicts_v=False,
        checkpoint="dream", checkpoint_sha256="a" * 64, checkpoint_old_hash="b" * 8, vae="clear.vae.pt",
        vae_sha256="c" * 64, vae_old_hash="d" * 8, epoch=1, step=2,
    )  # fmt: skip
    folder = FolderFacts("1_zorb", 1, False, SubsetRules(), ["zorb"])
    facts = DatasetFacts(DatasetRules(), [folder], {(512, 512): 1}, 0.0)
    length = training_length(1, max_train_epochs=2, max_train_steps=2, accumulation=1)
    found = training_metadata(Parameters(seed=1), length, [facts], run)
    assert {key: found[key] for key in found if "sd_model" in key or "vae" in key} == {
        "ss_sd_model_name": "dream", "ss_sd_model_hash": "b" * 8, "ss_new_sd_model_hash": "a" * 64,
        "ss_vae_name": "clear.vae.pt", "ss_vae_hash": "d" * 8, "ss_new_vae_hash": "c" * 64,
    }  # fmt: skip
    plain = training_metadata(
        Parameters(seed=1), length, [facts], replace(run, vae=None, vae_sha256=None, vae_old_hash=None)
    )
    assert not any("vae" in key for key in plain), "where the checkpoint's own was used, none is named"
