"""Each benchmark once, at its smallest: that it measures, not what it measures."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import bench.product
from bench.__main__ import TOPICS, main
from bench.product import clean_environment

CHECKOUT = Path(__file__).resolve().parents[2]
WITHIN_S = 500


@pytest.mark.slow
def test_every_benchmark_gives_its_figures():
    elsewhere = ("training", "fleet")  # tests/gpu_worker/training/test_character.py, tests/bench/test_fleet.py
    topics = [topic for topic in TOPICS if topic not in elsewhere]
    smallest = f"{' '.join(topics)} --no-full-size --imports 1 --requests 6 --seconds 1 --pairs 1 --steps 2 --tags 2000"
    command = [sys.executable, "-m", "bench", "--json", *smallest.split()]
    environment = clean_environment(OMP_NUM_THREADS="1")
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=WITHIN_S)
    assert done.returncode == 0, done.stderr
    read = json.loads(done.stdout)
    assert read["machine"]["threads"] == 1
    figures = {(figure["topic"].split(",")[0], figure["name"]): figure for figure in read["figures"]}
    assert all(figure["value"] is not None for figure in figures.values()), figures
    answers = "First response to /imagine"
    assert figures[answers, "answered"]["value"] == 6
    assert figures[answers, "lost"]["value"] == 0
    assert 0 < figures[answers, "p50"]["value"] <= figures[answers, "p99"]["value"]
    assert figures[answers, "cores the worker kept busy"]["value"] > 0.05
    assert 20 < figures["Memory of the bot process", "after 6 requests, RSS"]["value"] < 500
    imports = "Import of everything the bot loads"
    assert figures[imports, "whole process minus bare interpreter"]["value"] > 0.1
    assert figures[imports, "of it discord"]["value"] > 0
    pictures = "Four demo pictures"
    whole, pipeline = (figures[pictures, name]["value"] for name in ("whole product", "diffusers pipeline"))
    assert figures[pictures, "whole product ÷ pipeline"]["value"] == pytest.approx(whole / pipeline)
    goals = {name: figure["goal"] for (_, name), figure in figures.items() if figure["goal"] is not None}
    assert goals["p99"] == 0.5
    demo = "Demo checkpoint"
    for task in ("one picture", "batch of 4", "img2img"):
        ours, theirs = (figures[demo, f"{task}, {side}"]["value"] for side in ("engine", "pipeline"))
        ratio = figures[demo, f"{task}, time engine ÷ pipeline"]
        assert (ratio["value"], ratio["goal"]) == (pytest.approx(ours / theirs), 1.03)
    assert goals["whole product ÷ pipeline"] == 1.15


def test_a_product_that_does_not_start_ends_in_its_own_words(tmp_path, monkeypatch, capsys):
    (tmp_path / "bot.py").write_text("import sys; sys.exit('the bot has a bad day')")
    monkeypatch.setattr(bench.product, "CHECKOUT", tmp_path)
    assert main(["memory"]) == 1
    said = capsys.readouterr()
    assert "the bot has a bad day" in said.err
    assert not said.out


def test_unknown_topic_is_refused(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["weather"])
    assert ended.value.code == 2
    assert all(topic in capsys.readouterr().err for topic in TOPICS[:1])


def test_an_operators_settings_do_not_reach_a_measurement(monkeypatch):
    monkeypatch.setenv("DISCORD_TOKEN", "secret")
    monkeypatch.setenv("PINCEL_MAX_SIDE", "64")
    made = clean_environment(PINCEL_DATA="here")
    assert "DISCORD_TOKEN" not in made
    assert "PINCEL_MAX_SIDE" not in made
    assert made["PINCEL_DATA"] == "here"
