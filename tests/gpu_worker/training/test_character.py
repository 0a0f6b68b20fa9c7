"""The whole promise, on the demo checkpoint: a character that it has never seen, from fifteen pictures."""

import numpy as np
import pytest

from bench.character import TRIGGER
from bench.learning import FUSED, OTHERS, WORDS, Easel, fuse_by_diffusers, teach

pytestmark = pytest.mark.slow

LORA = f"<lora:{TRIGGER}:1>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("taught")
    code, _ = teach(found, device="cpu", max_train_epochs=3, save_every_n_epochs=1)
    assert code == 0
    return found


@pytest.fixture(scope="module")
def easel(folder):
    made = Easel(folder, "cpu")
    yield made
    made.close()


def test_it_appears_with_its_word_and_not_without_and_later_epochs_are_nearer(easel):
    before = easel.distance(WORDS, 2)
    first, last = (easel.distance(f"{WORDS} <lora:{name}:1>", 2) for name in (f"{TRIGGER}-000001", TRIGGER))
    others = [easel.distance(f"{words} {LORA}", 2) for words in OTHERS[:2]]
    assert last < first < before
    assert last < 0.8 * min(*others, before)


def test_at_weight_zero_nothing_changes(easel):
    plain, nothing = easel.draw(WORDS), easel.draw(f"{WORDS} <lora:{TRIGGER}:0>")
    assert np.array_equal(plain[0], nothing[0])


def test_loaded_by_diffusers_it_draws_the_same_picture(easel, folder):
    fuse_by_diffusers(folder / "models" / "loras" / f"{TRIGGER}.safetensors", folder / "models" / "checkpoints" / FUSED)
    (ours,), (theirs,) = easel.draw(f"{WORDS} {LORA}"), easel.draw(WORDS, checkpoint=FUSED)
    assert int(np.abs(ours.astype(int) - theirs.astype(int)).max()) <= 1
    (base,) = easel.draw(WORDS)
    assert int(np.abs(ours.astype(int) - base.astype(int)).max()) > 30
