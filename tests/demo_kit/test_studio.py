"""What is measured is what was asked for."""

import numpy as np
from safetensors.numpy import save_file

from demo_kit.studio import Studio
from gpu_worker.language.models import DEMO_NAME


def test_of_two_checkpoints_of_one_name_it_is_not_the_one_that_ships(tmp_path):
    assert Studio(tmp_path, DEMO_NAME).spec("a cat", 1).checkpoint == DEMO_NAME
    (tmp_path / "checkpoints").mkdir()
    shapes = {
        "model.diffusion_model.input_blocks.0.0.weight": (64, 4, 3, 3),
        "first_stage_model.decoder.conv_out.weight": (3, 64, 3, 3),
        "cond_stage_model.transformer.text_model.embeddings.position_embedding.weight": (77, 128),
    }
    weights = {name: np.zeros(shape, np.float16) for name, shape in shapes.items()}
    save_file(weights, tmp_path / "checkpoints" / f"{DEMO_NAME}.safetensors")
    assert Studio(tmp_path, DEMO_NAME).spec("a cat", 1).checkpoint == f"{DEMO_NAME} (.safetensors)"
