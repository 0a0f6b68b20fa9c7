"""What A1111 takes a checkpoint for, and which VAE it pairs it with: behaviours §11, §12.4."""

import pytest
from reference import vectors

from gpu_worker.language.layouts import model_type_from_keys
from gpu_worker.language.vaes import vae_near_checkpoint


@pytest.mark.parametrize(("given", "expected"), vectors("model_type_from_keys"))
def test_model_type_from_keys(given, expected):
    assert model_type_from_keys({key: tuple(shape) for key, shape in given["shapes"].items()}) == expected


@pytest.mark.parametrize(("given", "expected"), vectors("vae_near_checkpoint"))
def test_vae_near_checkpoint(given, expected):
    assert vae_near_checkpoint(given["checkpoint"], given["vae_files"]) == expected
