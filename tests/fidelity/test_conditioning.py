"""Chunks and emphasis, against what A1111 itself computed, and what its encoder is then given."""

import numpy as np
import pytest
import torch
from reference import vectors

from gpu_worker.engine.conditioning.chunks import Vocabulary, chunk_prompt
from gpu_worker.engine.conditioning.emphasis import apply_emphasis

COMMA, WORD, START, END = 267, 1000, 1, 2


def stub(names=()):
    """One token a word, as in the original run; the words of embeddings have ids of their own."""
    ids = {word: WORD + 1 + i for i, word in enumerate(names)}
    return Vocabulary(
        lambda text: [COMMA if w == "," else ids.get(w, WORD) for w in text.replace(",", " , ").split()],
        START, END, COMMA,
    )  # fmt: skip


def finder(embeddings, words):
    """Embeddings as (name, words of the name, vectors), found by their ids."""
    known = [(name, words.tokenize(" ".join(parts)), vectors) for name, parts, vectors in embeddings]

    def find(ids, place):
        for name, own, count in known:
            if list(ids[place : place + len(own)]) == own:
                return name, len(own), count
        return None

    return find


@pytest.mark.parametrize(("given", "expected"), vectors("token_chunking"))
def test_chunks(given, expected):
    embeddings = given["embeddings"] or []
    words = stub([word for _, parts, _ in embeddings for word in parts])
    chunks, count = chunk_prompt(
        given["text"], words, emphasis=given["emphasis"], backtrack=given["comma_padding_backtrack"],
        find=finder(embeddings, words) if embeddings else None,
    )  # fmt: skip
    assert count == expected["token_count"]
    assert len(chunks) == expected["target"] // 75
    lengths = {name: count for name, _, count in embeddings}
    for chunk, wanted in zip(chunks, expected["chunks"], strict=True):
        assert len(chunk.ids) == len(chunk.weights) == wanted["length"]
        assert sum(token not in (START, END) for token in chunk.ids) == wanted["real_tokens"]
        assert sorted(set(chunk.weights)) == sorted(wanted["distinct_weights"])
        assert [[fix.at, fix.embedding, lengths[fix.embedding]] for fix in chunk.fixes] == wanted["embeddings"]


def test_words_after_a_comma_move_on_with_their_embedding():
    words = stub(["emb"])
    text = " ".join(f"w{i}" for i in range(60)) + ", emb " + " ".join(f"x{i}" for i in range(20))
    first, second = chunk_prompt(text, words, find=finder([["emb", ["emb"], 5]], words))[0]
    assert not first.fixes
    assert [fix.at for fix in second.fixes] == [0]
    assert second.ids[1:6] == (0,) * 5
    assert second.ids[6] == WORD


def test_an_embedding_longer_than_a_chunk_is_text():
    words = stub(["emb"])
    (chunk,), count = chunk_prompt("emb", words, find=finder([["emb", ["emb"], 76]], words))
    assert (chunk.fixes, count) == ((), 1)


@pytest.mark.parametrize(("given", "expected"), vectors("emphasis_apply"))
def test_emphasis(given, expected):
    got = apply_emphasis(torch.tensor(given["z"]), torch.tensor(given["multipliers"]), given["mode"])
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_no_norm_only_multiplies():
    z = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [-2.0, 0.5]]])
    got = apply_emphasis(z, torch.tensor([[1.0, 1.5, 0.5]]), "No norm")
    assert got.tolist() == [[[1.0, 2.0], [4.5, 6.0], [-1.0, 0.25]]]


def test_the_mean_is_taken_over_all_texts_of_a_call():
    z = torch.rand(2, 77, 8, generator=torch.Generator().manual_seed(0)) + 0.5
    weights = torch.ones(2, 77)
    weights[0, 3] = 1.4
    together = apply_emphasis(z, weights)
    alone = apply_emphasis(z[:1], weights[:1])
    assert not torch.allclose(together[:1], alone)
    assert not torch.allclose(together[1], z[1]), "the other text is scaled as well"
    torch.testing.assert_close(together.mean(), z.mean())


def test_emphasis_that_cancels_the_mean_stays_finite():
    assert torch.isfinite(apply_emphasis(torch.ones(1, 77, 4), torch.zeros(1, 77))).all()
