"""Embeddings are found in prompts by their name's tokens, for checkpoints that they fit."""

import os
from types import SimpleNamespace

import network_checkpoints
import pytest
import torch
from safetensors.torch import save_file

from gpu_worker.engine.adapters.embeddings import EmbeddingBook
from gpu_worker.engine.conditioning.chunks import chunk_prompt
from gpu_worker.engine.conditioning.encode import vocabulary_of


@pytest.fixture(scope="module")
def checkpoints():
    return {family: network_checkpoints.small(family) for family in ("sd1", "sdxl")}


@pytest.fixture(scope="module")
def tokenize(checkpoints):
    return vocabulary_of(checkpoints["sd1"].text_encoders[0].tokenizer).tokenize


def listed(path, name=None):
    """As a model scan lists a file."""
    return SimpleNamespace(fact=SimpleNamespace(name=name or path.stem), path=path)


def word(folder, name, length=1, width=24, value=1.0):
    path = folder / f"{name}.safetensors"
    save_file({"emb_params": torch.full((length, width), value)}, path)
    return listed(path)


def found(shelf, tokenize, text):
    ids = tokenize(text)
    hits = [(place, shelf.find(ids, place)) for place in range(len(ids))]
    return [(place, hit[0].name, hit[1]) for place, hit in hits if hit]


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("text", ["EasyNegative", "easynegative", "EASYNEGATIVE, bad", "EasyNegative!"])
def test_a_name_is_found_whatever_its_case(checkpoints, tokenize, tmp_path, suffix, text):
    path = tmp_path / f"EasyNegative{suffix}"
    vectors = torch.arange(8 * 24, dtype=torch.float32).reshape(8, 24)
    if suffix == ".pt":
        torch.save({"string_to_param": {"*": vectors}, "name": "EasyNegative"}, path)
    else:
        save_file({"emb_params": vectors}, path)
    shelf = EmbeddingBook().shelf(checkpoints["sd1"], [listed(path)])
    ((place, name, named),) = found(shelf, tokenize, text)
    assert (place, name, named) == (0, "EasyNegative", len(tokenize("EasyNegative")))
    embedding, _ = shelf.find(tokenize(text), 0)
    assert embedding.length == 8
    assert torch.equal(embedding.vectors["clip_l"], vectors)


def test_inside_weight_brackets_it_keeps_its_weight(checkpoints, tmp_path):
    shelf = EmbeddingBook().shelf(checkpoints["sd1"], [word(tmp_path, "EasyNegative", length=8)])

    def find(ids, place):
        hit = shelf.find(ids, place)
        return None if hit is None else (hit[0], hit[1], hit[0].length)

    vocabulary = vocabulary_of(checkpoints["sd1"].text_encoders[0].tokenizer)
    (chunk,), count = chunk_prompt("(EasyNegative:1.3), bad", vocabulary, find=find)
    assert count == 10
    assert chunk.weights[1:10] == (*[1.3] * 8, 1.0)


def test_the_longest_name_wins_and_the_others_are_words(checkpoints, tokenize, tmp_path):
    files = [word(tmp_path, name) for name in ("bad", "bad hands", "bad hands five", "verybad")]
    shelf = EmbeddingBook().shelf(checkpoints["sd1"], files)
    assert [name for _, name, _ in found(shelf, tokenize, "bad hands five, bad hands, bad feet")] == [
        "bad hands five",
        "bad hands",
        "bad",
    ]
    assert found(shelf, tokenize, "good hands") == []
    assert shelf.find(tokenize("bad"), 0)[1] == 1


def test_only_what_fits_the_checkpoint_is_found(checkpoints, tokenize, tmp_path):
    pair = tmp_path / "pair.safetensors"
    save_file({"clip_l": torch.ones(2, 24), "clip_g": torch.ones(2, 40)}, pair)
    wrong = tmp_path / "wrong.safetensors"
    save_file({"clip_l": torch.ones(2, 24), "clip_g": torch.ones(2, 41)}, wrong)
    files = [word(tmp_path, "small"), word(tmp_path, "large", width=40), listed(pair), listed(wrong)]
    text, book = "small large pair wrong", EmbeddingBook()
    assert [name for _, name, _ in found(book.shelf(checkpoints["sd1"], files), tokenize, text)] == ["small"]
    shelf = book.shelf(checkpoints["sdxl"], files)
    assert [name for _, name, _ in found(shelf, tokenize, text)] == ["pair"]
    embedding, _ = shelf.find(tokenize("pair"), 0)
    assert {kind: tuple(vectors.shape) for kind, vectors in embedding.vectors.items()} == {
        "clip_l": (2, 24),
        "clip_g": (2, 40),
    }
    assert not book.problems


def test_a_broken_file_is_remembered_and_stops_nothing(checkpoints, tokenize, tmp_path):
    broken = tmp_path / "broken.pt"
    broken.write_bytes(b"<html>")
    files = [listed(broken), listed(tmp_path / "gone.pt"), word(tmp_path, "whole")]
    book = EmbeddingBook()
    shelf = book.shelf(checkpoints["sd1"], files)
    assert [name for _, name, _ in found(shelf, tokenize, "broken gone whole")] == ["whole"]
    assert book.problems == {"broken": "corrupt"}
    assert book.shelf(checkpoints["sd1"], files[2:]) is not shelf
    assert book.problems == {}


def test_files_are_read_again_only_when_they_changed(checkpoints, tokenize, tmp_path, monkeypatch):
    from gpu_worker.engine.adapters import embeddings

    read, original = [], embeddings.read_embedding
    monkeypatch.setattr(embeddings, "read_embedding", lambda name, path: (read.append(name), original(name, path))[1])
    files = [word(tmp_path, "one"), word(tmp_path, "two")]
    book = EmbeddingBook()
    first = book.shelf(checkpoints["sd1"], files)
    assert book.shelf(checkpoints["sd1"], files) is first
    book.shelf(checkpoints["sdxl"], files)
    assert read == ["one", "two"]
    changed = word(tmp_path, "two", value=3.0)
    os.utime(changed.path, ns=(1, 1))
    second = book.shelf(checkpoints["sd1"], files)
    assert read == ["one", "two", "two"]
    assert second.key != first.key
    assert second.find(tokenize("two"), 0)[0].vectors["clip_l"][0, 0] == 3


def test_a_loras_own_embeddings_come_after_the_installed_ones(checkpoints, tokenize, tmp_path):
    style = tmp_path / "style.safetensors"
    tensors = {"bundle_emb.mine.string_to_param.*": torch.full((3, 24), 2.0)}
    save_file(tensors | {"bundle_emb.both.string_to_param.*": torch.full((3, 24), 2.0)}, style)
    files = [word(tmp_path, "both")]
    book = EmbeddingBook()
    shelf = book.shelf(checkpoints["sd1"], files, [listed(style)])
    assert shelf.find(tokenize("mine"), 0)[0].length == 3
    assert shelf.find(tokenize("both"), 0)[0].length == 1
    assert book.shelf(checkpoints["sd1"], files).find(tokenize("mine"), 0) is None


@pytest.mark.parametrize("name", ["", "\udcff", " "])
def test_a_name_without_tokens_is_never_found(checkpoints, tokenize, tmp_path, name):
    file = word(tmp_path, "file")
    shelf = EmbeddingBook().shelf(checkpoints["sd1"], [listed(file.path, name or "\n")])
    assert found(shelf, tokenize, "file a b") == []
