"""Training a LoRA, captions and tags against sd-scripts', the WD14 tagger's and the dataset tag editor's own code."""

import random

import pytest
from reference import vectors

from gpu_worker.language.training.buckets import bucket_sizes, select_bucket
from gpu_worker.language.training.captions import process_caption
from gpu_worker.language.training.folders import read_folder_name
from gpu_worker.language.training.outputs import epoch_name, epoch_to_remove, final_name, step_name
from gpu_worker.language.training.parameters import SubsetRules
from gpu_worker.language.training.samples import read_sample_line
from gpu_worker.language.training.steps import batches_per_epoch, training_length
from gpu_worker.language.training.tag_editor import (
    edit_common,
    remove_duplicates,
    replace_in_caption,
    replace_in_tags,
)
from gpu_worker.language.training.tagged import caption_of_scores


@pytest.mark.parametrize(("given", "expected"), vectors("kohya_folder_name"))
def test_folder_names(given, expected):
    found = read_folder_name(given)
    assert {"repeats": found.repeats, "class_tokens": found.class_tokens, "used": found.used} == expected


@pytest.mark.parametrize(("given", "expected"), vectors("kohya_caption"))
def test_captions(given, expected):
    rules = dict(given)
    caption, dice = rules.pop("caption"), random.Random(rules.pop("python_random_seed"))
    assert process_caption(caption, SubsetRules(**rules), dice) == expected


@pytest.mark.parametrize(("given", "expected"), vectors("kohya_bucket_resolutions"))
def test_sizes_of_buckets(given, expected):
    sizes = bucket_sizes(tuple(given["resolution"]), given["min_bucket_reso"], given["max_bucket_reso"], given["step"])
    assert [list(size) for size in sizes] == expected


@pytest.mark.parametrize(("given", "expected"), vectors("kohya_select_bucket"))
def test_the_bucket_of_a_picture(given, expected):
    resolution = tuple(given["resolution"])
    sizes = bucket_sizes(resolution, given["min"], given["max"], given["step"])
    found = select_bucket(
        tuple(given["image"]), sizes, resolution, given["step"], no_upscale=given["bucket_no_upscale"]
    )
    answer = {"bucket": [*found.bucket], "resized": [*found.resized], "ar_error": round(found.ar_error, 6)}
    assert answer == expected


@pytest.mark.parametrize(("given", "expected"), vectors("kohya_total_steps"))
def test_steps(given, expected):
    batches = batches_per_epoch(given["images_repeats_bucket"], given["batch_size"])
    length = training_length(
        batches, max_train_epochs=given["epochs"], max_train_steps=1600, accumulation=given["gradient_accumulation"]
    )
    assert {"batches_per_epoch": batches, "total_steps": length.total_steps} == expected


@pytest.mark.parametrize(("given", "expected"), vectors("kohya_file_names"))
def test_names_of_files(given, expected):
    name = given["output_name"]
    assert {"epoch2": epoch_name(name, 2), "step100": step_name(name, 100), "last": final_name(name)} == expected


@pytest.mark.parametrize(("given", "expected"), vectors("kohya_remove_epoch"))
def test_which_file_goes(given, expected):
    assert epoch_to_remove(given["epoch"], given["save_every_n_epochs"], given["save_last_n_epochs"]) == expected


@pytest.mark.parametrize(("given", "expected"), vectors("kohya_sample_prompt_line"))
def test_sample_prompts(given, expected):
    said = {name: value for name, value in vars(read_sample_line(given)).items() if value is not None}
    assert said == expected


@pytest.mark.parametrize(("given", "expected"), vectors("wd14_postprocess"))
def test_captions_of_a_tagger(given, expected):
    options = dict(given)
    assert caption_of_scores(options.pop("scores"), **options) == expected


@pytest.mark.parametrize(("given", "expected"), vectors("dataset_tag_editor_edit"))
def test_common_tags_are_edited(given, expected):
    edited = edit_common(given["tags"], given["common_tags"], given["edit_to"], prepend=given["prepend"])
    assert [*edited] == expected


@pytest.mark.parametrize(("given", "expected"), vectors("dataset_tag_editor_search_replace"))
def test_search_and_replace(given, expected):
    texts = given["tags"], given["search"], given["replace"]
    if given["scope"] == "entire caption":
        answer = replace_in_caption(*texts, regex=given["regex"])
    else:
        only = {"smile"} if given["scope"].startswith("only tags") else None
        answer = replace_in_tags(*texts, regex=given["regex"], only=only)
    assert [*answer] == expected


@pytest.mark.parametrize(("given", "expected"), vectors("dataset_tag_editor_dedupe"))
def test_duplicates_go(given, expected):
    assert [*remove_duplicates(given)] == expected
