"""Chunks, emphasis and sizes, against what A1111 itself computed."""

import numpy as np
import pytest
import torch
from reference import vectors

from gpu_worker.engine.conditioning.chunks import Vocabulary, chunk_prompt
from gpu_worker.engine.conditioning.encode import apply_emphasis
from gpu_worker.engine.tasks.hires import hires_size


# The words w0, w1 … stand for one token each, as in the original run; embeddings and emphasis "None" come later.
@pytest.mark.parametrize(("given", "expected"), vectors("token_chunking", leave_out={"011", "012", "013", "014"}))
def test_chunks(given, expected):
    words = Vocabulary(lambda text: [267 if w == "," else 1000 for w in text.split()], 1, 2, 2, 267)
    chunks, count = chunk_prompt(given["text"], words, given["comma_padding_backtrack"])
    assert count == expected["token_count"]
    assert len(chunks) == expected["target"] // 75
    for chunk, wanted in zip(chunks, expected["chunks"], strict=True):
        assert len(chunk.ids) == len(chunk.weights) == wanted["length"]
        assert sum(token in (267, 1000) for token in chunk.ids) == wanted["real_tokens"]
        assert sorted(set(chunk.weights)) == sorted(wanted["distinct_weights"])


@pytest.mark.parametrize(
    ("given", "expected"), vectors("emphasis_apply", only=lambda given: given["mode"] == "Original")
)
def test_emphasis(given, expected):
    got = apply_emphasis(torch.tensor(given["z"]), torch.tensor(given["multipliers"]))
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_emphasis_that_cancels_the_mean_stays_finite():
    assert torch.isfinite(apply_emphasis(torch.ones(1, 77, 4), torch.zeros(1, 77))).all()


# Only "scale by" exists here: no resize to a given size, no old automatic first pass.
def _by_scale(given):
    return not (given["hr_resize_x"] or given["hr_resize_y"] or given["use_old_hires_fix_width_height"])


@pytest.mark.parametrize(("given", "expected"), vectors("hires_target", only=_by_scale))
def test_hires_size(given, expected):
    assert list(hires_size(given["width"], given["height"], given["hr_scale"])) == expected["upscale_to"]
