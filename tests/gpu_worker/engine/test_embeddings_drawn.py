"""Textual inversions in pictures: named in a prompt they change it, whatever their case, and the infotext says so."""

import hashlib

import pytest
import torch
from drawing import draw, pixels
from safetensors.torch import save_file

from gpu_worker.language.infotext import parse_infotext

pytestmark = pytest.mark.slow

WIDTH = 96
"""Of the demo's text model."""


@pytest.fixture(scope="module", autouse=True)
def embeddings(models_dir):
    folder = models_dir / "embeddings"
    folder.mkdir(exist_ok=True)
    dice = torch.Generator().manual_seed(0)
    save_file({"emb_params": torch.randn(8, WIDTH, generator=dice)}, folder / "EasyNegative.safetensors")
    torch.save(
        {"string_to_param": {"*": torch.randn(2, WIDTH, generator=dice)}, "name": "inner", "step": 1},
        folder / "style-x.pt",
    )
    save_file({"emb_params": torch.randn(2, 768, generator=dice)}, folder / "foreign.safetensors")
    (folder / "broken.pt").write_bytes(b"PK\x03\x04 nothing")
    return folder


@pytest.mark.parametrize("name", ["EasyNegative", "easynegative", "(EASYNEGATIVE:1.3)", "style-x"])
def test_a_name_in_the_negative_prompt_just_works(engine, embeddings, name):
    plain = pixels(draw(engine, negative_prompt="blurry")[0])
    (drawn,) = draw(engine, negative_prompt=f"blurry, {name}")
    assert abs(pixels(drawn) - plain).mean() > 1
    own, digest = parse_infotext(drawn.infotext).fields["TI hashes"].split(": ")
    file = embeddings / ("style-x.pt" if "style" in name else "EasyNegative.safetensors")
    assert (own, digest) == (file.stem, hashlib.sha256(file.read_bytes()).hexdigest()[:12])
    assert parse_infotext(drawn.infotext).negative_prompt == f"blurry, {name}"


def test_names_that_do_not_fit_or_are_broken_are_words(engine):
    (drawn,) = draw(engine, prompt="a red apple, foreign, broken")
    assert "TI hashes" not in parse_infotext(drawn.infotext).fields


def test_an_embedding_in_an_edit_counts_from_its_step(engine):
    early, late, never = (
        pixels(draw(engine, prompt=f"a red apple [style-x:{when}]", steps=6)[0]) for when in (1, 4, 99)
    )
    assert abs(early - never).mean() > abs(late - never).mean() > 0
