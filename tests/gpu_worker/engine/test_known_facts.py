"""What a worker found out about a model reaches the bot with the model's fact."""

from pathlib import Path

import pytest
from make_checkpoint import write_checkpoint

from gpu_worker.engine.checkpoints.hashes import HashBook
from gpu_worker.engine.checkpoints.known import known_fact
from gpu_worker.engine.engine import Engine
from gpu_worker.engine.options import EngineOptions
from gpu_worker.language.models import scan_model_files

DEMO = Path(__file__).parents[3] / "data" / "demo"


@pytest.mark.parametrize(("kind", "told"), [("sd21-base-small", ("epsilon", 512)), ("sd21-v-small", ("v", 768))])
def test_the_probe_tells_how_a_checkpoint_predicts_and_which_size_it_draws(kind, told, tmp_path):
    models = tmp_path / "models"
    (models / "checkpoints").mkdir(parents=True)
    write_checkpoint(models / "checkpoints" / "old.safetensors", kind)
    engine = Engine(models_dir=models, demo_dir=DEMO, options=EngineOptions(device="cpu"))
    fact = engine.facts()[0]
    assert (fact.prediction, fact.native_px) == (None, 768)
    engine.prepare("old")
    fact = engine.facts()[0]
    assert (fact.name, fact.prediction, fact.native_px) == ("old", *told)


def test_a_size_that_the_file_states_stays(tmp_path):
    file = tmp_path / "checkpoints" / "old.safetensors"
    file.parent.mkdir()
    write_checkpoint(file, "sd21-base-small", metadata={"modelspec.resolution": "640x640"})
    model = scan_model_files(tmp_path, tmp_path / "no demo")[0]
    book = HashBook(tmp_path / "hashes.json")
    book.note(file, "prediction", "epsilon")
    assert (known_fact(model, book).prediction, known_fact(model, book).native_px) == ("epsilon", 640)
    book.note(file, "prediction", "something else")
    assert known_fact(model, book).prediction is None
