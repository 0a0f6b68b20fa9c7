"""A process that asks often reads each file once, and not again after a restart."""

import pytest

from gpu_worker.language import models
from gpu_worker.language.model_book import ModelBook
from gpu_worker.language.models import scan_model_files
from tests.gpu_worker.language.test_models import KOHYA, SD1, write


@pytest.fixture
def reads(monkeypatch):
    names = []
    real = models.read_file
    monkeypatch.setattr(models, "read_file", lambda kind, path: names.append(path.name) or real(kind, path))
    return names


def test_each_file_is_read_once_and_the_notes_outlive_the_process(tmp_path, reads):
    write(tmp_path / "m" / "loras" / "style.safetensors", KOHYA, metadata={"ss_output_name": "S", "ss_epoch": "3"})
    write(tmp_path / "m" / "checkpoints" / "dream.safetensors", SD1)
    notes = tmp_path / "readings.json"
    book = ModelBook(tmp_path / "m", tmp_path, notes=notes)
    found = book.models()
    assert book.models() is found
    assert ModelBook(tmp_path / "m", tmp_path, notes=notes).models() == found
    assert sorted(reads) == ["dream.safetensors", "style.safetensors"]
    assert found == scan_model_files(tmp_path / "m", tmp_path)
    write(tmp_path / "m" / "loras" / "new.safetensors", KOHYA)
    (tmp_path / "m" / "checkpoints" / "dream.safetensors").unlink()
    reads.clear()
    assert [m.fact.name for m in book.models()] == ["new", "style"]
    assert reads == ["new.safetensors"]
    assert "dream" not in notes.read_text()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"version": 0}',
        '{"version": 1, "readings": []}',
        '{"version": 2}',
        '{"version": 2, "readings": [[1, 2]]}',
        '{"version": 2, "readings": [[["a", 1, 2, 3, ""], {"odd": 1}]]}',
    ],
)
def test_damaged_notes_cost_reading_again(tmp_path, text, reads):
    write(tmp_path / "m" / "loras" / "style.safetensors", KOHYA)
    (tmp_path / "readings.json").write_text(text)
    assert len(ModelBook(tmp_path / "m", tmp_path, notes=tmp_path / "readings.json").models()) == 1
    assert reads == ["style.safetensors"]


def test_what_trainings_saved_is_there_beside_the_library_which_wins_a_name(tmp_path):
    facts = {"ss_output_name": "zorb", "ss_epoch": "2"}
    write(tmp_path / "m" / "loras" / "zorb.safetensors", KOHYA, metadata=facts)
    for name in ("zorb", "zorb-000002"):
        write(tmp_path / "trainings" / "a1job" / f"{name}.safetensors", KOHYA, metadata=facts)
    (tmp_path / "trainings" / "a1job" / "zorb-000004.safetensors.part").write_bytes(b"on its way")
    found = ModelBook(tmp_path / "m", tmp_path, trainings=tmp_path / "trainings").models()
    assert [(model.fact.name, model.fact.alias, model.fact.trained_in) for model in found] == [
        ("zorb", "zorb", None),
        ("zorb (a1job)", None, "a1job"),
        ("zorb-000002", None, "a1job"),
    ]
    assert {model.fact.kind for model in found} == {"lora"}
    assert ModelBook(tmp_path / "m", tmp_path, trainings=tmp_path / "none").models()[0].fact.trained_in is None
