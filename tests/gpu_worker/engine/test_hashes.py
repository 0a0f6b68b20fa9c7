"""Hashes are A1111's, are computed once, and survive a restart and a damaged book."""

import json

from gpu_worker.engine.checkpoints.hashes import HashBook


def safetensors(note):
    header = json.dumps(
        {"__metadata__": {"a": note}, "t": {"dtype": "F32", "shape": [16], "data_offsets": [0, 64]}},
        separators=(",", ":"),
    ).encode()
    return len(header).to_bytes(8, "little") + header + bytes(i % 251 for i in range(64))


def test_they_are_the_reference_hashes(tmp_path):
    book = HashBook(tmp_path / "hashes.json")
    for note, whole in (("1", "dc0dedab53"), ("2", "947c8eab3d")):
        file = tmp_path / f"{note}.safetensors"
        file.write_bytes(safetensors(note))
        assert book.start(file).result()[:10] == whole
        assert book.start(file, data_only=True).result()[:12] == "fdeab9acf371"
    book.close()


def test_they_are_remembered_until_the_file_changes(tmp_path):
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"one")
    first = HashBook(tmp_path / "hashes.json")
    assert first.known(file) is None
    digest = first.start(file).result()
    first.close()
    second = HashBook(tmp_path / "hashes.json")
    assert second.known(file) == digest
    file.write_bytes(b"other")
    assert second.known(file) is None
    assert second.start(file).result() != digest
    second.close()
    assert not list(tmp_path.glob("*.part"))


def test_a_damaged_book_and_a_missing_file_cost_nothing_but_the_hash(tmp_path):
    for content in ("{", "[]", '{"a": 1}'):
        (tmp_path / "hashes.json").write_text(content)
        book = HashBook(tmp_path / "hashes.json")
        assert book.start(tmp_path / "gone").result() is None
        book.close()


def test_a_book_that_cannot_be_written_still_hashes(tmp_path):
    file = tmp_path / "model"
    file.write_bytes(b"x")
    (tmp_path / "no-folder").write_bytes(b"")
    book = HashBook(tmp_path / "no-folder" / "hashes.json")
    assert book.start(file).result()
    book.close()
