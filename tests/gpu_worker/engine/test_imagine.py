"""One picture from the shell: exit codes, saved files, and a friendly sentence for what cannot be drawn."""

import pytest
from PIL import Image

from gpu_worker import imagine
from gpu_worker.engine.images.files import read_infotext


@pytest.fixture(autouse=True)
def one_engine(engine, monkeypatch):
    """The session's engine instead of a new one, which would load the libraries' models again."""
    monkeypatch.setattr("gpu_worker.engine.engine.Engine", lambda **_: engine)
    monkeypatch.setattr(engine, "close", lambda: None)


def run(capsys, *arguments):
    code = imagine.main(["--checkpoint", "pincel-demo", "--steps", "2", *map(str, arguments)])
    return code, *capsys.readouterr()


def test_it_saves_the_picture_and_prints_path_and_infotext(capsys, tmp_path):
    path = tmp_path / "apple.png"
    code, out, _ = run(capsys, "a red apple", "--out", path, "--seed", 7)
    assert code == 0
    first, *rest = out.splitlines()
    assert first == str(path)
    assert "\n".join(rest) == read_infotext(path.read_bytes())
    assert "Seed: 7, Size: 128x128" in out
    with Image.open(path) as image:
        assert image.size == (128, 128)


def test_several_pictures_are_numbered(capsys, tmp_path):
    code, _, _ = run(capsys, "a red apple", "--out", tmp_path / "a.png", "--count", 2, "--width", 64, "--height", 64)
    assert code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a-1.png", "a-2.png"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["a", "--width", 130], "--width"),
        (["a", "--cfg", 0], "--cfg"),
        (["a", "--count", 9], "--count"),
        (["a", "--seed", -1], "--seed"),
        (["a", "--hires-scale", 9], "--hires-scale"),
        (["a", "--sampler", "Heun"], "Heun"),
        (["a", "--checkpoint", "nowhere"], "nowhere"),
        (["a <lora:nowhere:1>"], "models/loras"),
        (["a", "--out", "/no/such/folder/x.png"], "/no/such/folder"),
        (["  "], "prompt is empty"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(capsys, arguments, sentence):
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert sentence in err
    assert len(err.strip().splitlines()) == 1
    assert "Traceback" not in err


def test_a_file_that_cannot_be_written_is_exit_code_1(capsys, tmp_path):
    (tmp_path / "taken.png").mkdir()
    code, _, err = run(capsys, "a", "--out", tmp_path / "taken.png")
    assert code == 1
    assert "--out" in err
