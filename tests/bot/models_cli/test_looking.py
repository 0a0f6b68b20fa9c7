"""`models list` and `models scan`, and how words at the console become commands."""

import json

import pytest

from bot import exit_codes
from bot.catalogue import operator_file
from bot.i18n import texts_for
from bot.models_cli.__main__ import main, run
from bot.models_cli.console import size
from bot.operator_language import plain

from .conftest import EMBEDDING, LORA


@pytest.mark.parametrize(
    ("size_bytes", "shown"),
    [(None, "?"), (0, "0 B"), (999, "999 B"), (1000, "1 kB"), (999_600, "1 MB"), (2_132_625_894, "2.13 GB")],
)
def test_sizes(size_bytes, shown):
    assert size(size_bytes) == shown


def test_what_a_terminal_would_obey_is_replaced():
    assert plain("a\x1b[2Jb\nc") == "a\N{REPLACEMENT CHARACTER}[2Jb\N{REPLACEMENT CHARACTER}c"


def test_answers(person):
    assert person("Y").agreed("?") is True
    assert person("sí", language="es").agreed("?") is True
    assert person("no").agreed("?") is False
    assert person("").agreed("?") is False
    assert person("perhaps", "yes").agreed("?") is True
    assert person("what", "what", "what").agreed("?") is False
    assert person().agreed("?") is None


@pytest.mark.parametrize("language", ["en", "es"])
def test_list_tells_installed_unverified_and_sets(settings, person, language):
    made = settings()
    folder = made.models_dir / "embeddings"
    folder.mkdir(parents=True)
    (folder / "EasyNegative.safetensors").write_bytes(EMBEDDING)
    somebody = person(language=language)
    assert run(somebody, ["list"]) == exit_codes.OK
    say = texts_for(language)
    lines = somebody.shown.splitlines()
    assert any(say("models_cli.list.installed_mark") in line and "easynegative" in line for line in lines)
    assert any(say("models_cli.list.unverified_mark") in line and "pastel-mix" in line for line in lines)
    assert "controlnet-basics" in somebody.shown
    assert say("kind.embedding") in somebody.shown


def test_list_of_a_set_shows_nothing_else(settings, person):
    settings()
    somebody = person()
    assert run(somebody, ["list", "upscalers"]) == exit_codes.OK
    assert "remacri" in somebody.shown
    assert "dreamshaper" not in somebody.shown


def test_list_for_programs(settings, person):
    made = settings()
    (made.models_dir / "loras").mkdir(parents=True)
    (made.models_dir / "loras" / "line.safetensors").write_bytes(LORA)
    somebody = person()
    assert run(somebody, ["list", "--json"]) == exit_codes.OK
    told = json.loads(somebody.shown)
    assert [(model["kind"], model["name"], model["size_bytes"]) for model in told["installed"]] == [
        ("lora", "line", len(LORA))
    ]
    mixed = next(row for row in told["catalogue"] if row["key"] == "pastel-mix")
    assert (mixed["installed"], mixed["unverified"]) == (False, ["sha256", "size_bytes"])


@pytest.mark.parametrize("language", ["en", "es"])
def test_scan_names_folders_counts_and_reasons(settings, person, tmp_path, language):
    webui = tmp_path / "webui" / "models"
    (webui / "Stable-diffusion").mkdir(parents=True)
    (webui / "Lora").mkdir()
    (webui / "Lora" / "line.safetensors").write_bytes(LORA)
    made = settings(PINCEL_MODEL_FOLDERS=f"{tmp_path / 'webui'};{tmp_path / 'gone'}")
    (made.models_dir / "vae").mkdir(parents=True)
    (made.models_dir / "vae" / "half.safetensors").write_bytes(b"\xff" * 30)
    somebody = person(language=language)
    assert run(somebody, ["scan"]) == exit_codes.OK
    say, shown = texts_for(language), somebody.shown
    assert say("models_cli.scan.layout.missing", folder=tmp_path / "gone") in shown
    assert "A1111" in shown
    assert f"{say('kind.lora'):<16}      1" in shown
    assert str(made.models_dir / "vae" / "half.safetensors") in shown
    assert say("startup.doctor.models.corrupt_fix", name="half", problem="corrupt") in shown


def test_scan_of_nothing_and_of_sound_files(settings, person):
    made = settings()
    somebody = person()
    run(somebody, ["scan"])
    assert texts_for("en")("models_cli.list.nothing") in somebody.shown
    (made.models_dir / "loras").mkdir(parents=True)
    (made.models_dir / "loras" / "line.safetensors").write_bytes(LORA)
    somebody = person()
    run(somebody, ["scan"])
    assert texts_for("en")("models_cli.scan.sound") in somebody.shown


def test_scan_for_programs(settings, person):
    settings()
    somebody = person()
    assert run(somebody, ["scan", "--json"]) == exit_codes.OK
    assert json.loads(somebody.shown)["folders"][0]["layout"] == "pincel"


# --- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [["lst"], ["install"], ["list", "--yes"], ["scan", "x"]])
def test_other_words_are_refused_with_the_help(settings, person, capsys, words):
    settings()
    assert run(person(language="es"), words) == exit_codes.USAGE
    told = capsys.readouterr().err
    assert texts_for("es")("models_cli.usage") in told
    assert "models install" in told


@pytest.mark.parametrize("words", [[], ["--help"], ["install", "-h"]])
def test_help(settings, person, words):
    settings()
    somebody = person()
    assert run(somebody, words) == exit_codes.OK
    assert "models verify" in somebody.shown


def test_unknown_name_is_told_with_a_close_one(settings, person, capsys):
    settings()
    assert run(person(), ["install", "remakri"]) == exit_codes.USAGE
    assert "remacri" in capsys.readouterr().err


def test_broken_catalogue_is_told_by_line(settings, person, capsys):
    made = settings()
    made.data.mkdir()
    operator_file(made.data).write_text('[[model]]\nkey = "x"\nkind = "picture"\n', encoding="utf-8")
    assert run(person(), ["list"]) == exit_codes.SETTINGS
    assert "line 3" in capsys.readouterr().err


def test_bad_setting_is_told(settings, person, capsys, monkeypatch):
    settings()
    monkeypatch.setenv("PINCEL_WORKERS", "many")
    assert run(person(), ["list"]) == exit_codes.SETTINGS
    assert "PINCEL_WORKERS" in capsys.readouterr().err


def test_main_speaks_the_operators_language(settings, capsys, monkeypatch):
    settings()
    monkeypatch.setenv("LC_ALL", "es_MX.UTF-8")
    assert main(["--help"]) == exit_codes.OK
    assert "descargar" in capsys.readouterr().out
