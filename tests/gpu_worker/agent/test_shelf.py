"""What is asked of the shelf while another thread puts something there."""

from __future__ import annotations

from pathlib import Path

from gpu_worker.agent.shelf import Kept, Shelf


class Meanwhile:
    """An entry; whoever looks at it finds that another was put beside it."""

    size_bytes, sha256 = 5, "a" * 64

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    @property
    def own(self) -> bool:
        self._shelf._kept["loras/new.safetensors"] = Kept("b" * 64, 7, 0, 0.0)
        return False


def test_its_size_is_told_while_a_file_comes(tmp_path):
    shelf = Shelf(tmp_path)
    shelf._kept["loras/mine.safetensors"] = Meanwhile(shelf)
    shelf._kept["vae/mine.safetensors"] = Kept("c" * 64, 1, 0, 0.0)
    assert shelf.bytes == 6
    assert shelf.bytes == 13


def test_a_half_that_becomes_whole_meanwhile_hides_no_other(tmp_path, monkeypatch):
    shelf = Shelf(tmp_path)
    parts = [shelf.part(name * 64) for name in "abc"]
    parts[0].parent.mkdir()
    for part in parts:
        part.write_bytes(b"xyz")
    real = Path.stat

    def stat(path: Path, **options):
        parts[1].unlink(missing_ok=True)
        return real(path, **options)

    monkeypatch.setattr(Path, "stat", stat)
    monkeypatch.setattr(Path, "iterdir", lambda folder: iter(parts))
    assert shelf.parts_bytes() == 6
