"""What files are, told by their content, and archives that want to do harm."""

import pickle
import stat
import struct
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from bot.downloads import archives
from bot.downloads.archives import unpack_models
from bot.downloads.check import container_of, judge
from bot.errors import UserFacingError
from gpu_worker.language.kinds import read_file
from gpu_worker.language.layouts import Reading
from tests.gpu_worker.language.test_models import KOHYA, SD1, VAE, write

UPSCALER = {"conv_first.weight": [8, 3, 3, 3], "body.0.rdb1.conv1.weight": [4, 8, 3, 3]}
FLUX = {"double_blocks.0.img_attn.qkv.weight": [8, 8]}


class Bomb:
    def __reduce__(self):
        import os

        return os.system, ("touch /tmp/pincel-was-here",)


def a_file(tmp_path, shapes, name="x.safetensors"):
    write(tmp_path / name, shapes)
    return tmp_path / name


def check_file(path, kind):
    """As `inspect`, but in this process."""
    container = container_of(path)
    if container in ("safetensors", "onnx"):
        return judge(kind, container, read_file(None, path), read_file(kind, path))
    return judge(kind, container, Reading(), Reading())


@pytest.mark.parametrize(
    ("shapes", "wished", "kind", "problem"),
    [
        (SD1, None, "checkpoint", None), (SD1, "checkpoint", "checkpoint", None), (KOHYA, None, "lora", None),
        (KOHYA, "checkpoint", "lora", "download_wrong_kind"), (SD1, "lora", "checkpoint", "download_wrong_kind"),
        (VAE, "vae", "vae", None), (SD1, "upscaler", "checkpoint", "download_wrong_kind"),
        (UPSCALER, None, "upscaler", None), (UPSCALER, "annotator", "annotator", None),
        (FLUX, None, None, "download_kind_unknown"), (FLUX, "checkpoint", "checkpoint", "download_not_that_kind"),
        (FLUX, "annotator", "annotator", None),
        ({key: shape for key, shape in SD1.items() if not key.startswith("cond_stage")}, None, "checkpoint",
         "download_no_text_encoder"),
    ],
)  # fmt: skip
def test_kinds(tmp_path, shapes, wished, kind, problem):
    checked = check_file(a_file(tmp_path, shapes), wished)
    assert (checked.kind, checked.problem) == (kind, problem)


def test_containers_whatever_the_name_says(tmp_path):
    torch.save({"a": torch.ones(2)}, tmp_path / "zipped.safetensors")
    torch.save({"a": torch.ones(2)}, tmp_path / "old.safetensors", _use_new_zipfile_serialization=False)
    (tmp_path / "bomb.safetensors").write_bytes(pickle.dumps(Bomb()))
    with zipfile.ZipFile(tmp_path / "real.safetensors", "w") as archive:
        archive.writestr("x.safetensors", b"x")
    (tmp_path / "page.safetensors").write_bytes(b"\n<!DOCTYPE html><html>")
    (tmp_path / "pointer.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    (tmp_path / "noise.safetensors").write_bytes(bytes(range(200)))
    (tmp_path / "empty.safetensors").write_bytes(b"")
    (tmp_path / "huge.safetensors").write_bytes(struct.pack("<Q", 100 << 30) + b'{"a"')
    a_file(tmp_path, SD1, "good.ckpt")
    expected = {
        **dict.fromkeys(("zipped", "old", "bomb"), "pickle"),
        **dict.fromkeys(("page", "pointer"), "page"),
        **dict.fromkeys(("noise", "empty", "huge"), "other"),
        "real": "archive",
        "good": "safetensors",
    }
    assert {path.stem: container_of(path) for path in tmp_path.iterdir()} == expected
    problems = {"pickle": "download_pickle", "page": "download_not_a_model", "other": "download_damaged"}
    for path in tmp_path.iterdir():
        container = expected[path.stem]
        if container in problems:
            assert check_file(path, "checkpoint").problem == problems[container], path.stem


def test_what_no_picture_is_drawn_with(tmp_path):
    (tmp_path / "x.onnx").write_bytes(b"\x08" * 99)
    assert check_file(tmp_path / "x.onnx", "lora").problem == "download_unsupported"


def test_damaged_ones(tmp_path):
    whole = a_file(tmp_path, KOHYA)
    data = whole.read_bytes()
    for name, damaged in {"cut": data[:-1], "longer": data + b"x", "header": data[:40]}.items():
        path = tmp_path / f"{name}.safetensors"
        path.write_bytes(damaged)
        assert check_file(path, None).problem == "download_damaged", name


def zipped(tmp_path, members, name="a.zip", **options):
    path = tmp_path / name
    with zipfile.ZipFile(path, "w", **options) as archive:
        for member, data in members:
            archive.writestr(member, data)
    return path


def lora_bytes(tmp_path):
    save_file({"lora_unet_x.lora_down.weight": torch.rand(4, 4)}, tmp_path / "seed.safetensors")
    return (tmp_path / "seed.safetensors").read_bytes()


def unpacked(path, **options):
    return unpack_models(path, path.parent / "out", options.get("limit_bytes", 10_000_000), 0)


def test_models_come_out_of_an_archive_and_stay_where_they_belong(tmp_path):
    data = lora_bytes(tmp_path)
    link = zipfile.ZipInfo("link.safetensors")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    members = [("../../evil.safetensors", data), ("/etc/abs.safetensors", data), ("a/x.safetensors", data),
               ("b/x.safetensors", data), ("CON.safetensors", data), ("C:\\w\\y.safetensors", data),
               ("readme.txt", b"hello"), ("old.ckpt", b"\x80\x02"), ("inner.zip", b"PK\x03\x04"),
               (link, b"/etc/passwd"), ("folder/", b"")]  # fmt: skip
    path = zipped(tmp_path, members, compression=zipfile.ZIP_DEFLATED)
    found = unpacked(path)
    assert [file.name for file in found] == ["evil.safetensors", "abs.safetensors", "x.safetensors", "x.safetensors",
                                             "_CON.safetensors", "y.safetensors"]  # fmt: skip
    assert all(file.is_relative_to(tmp_path / "out") and file.read_bytes() == data for file in found)
    assert not (tmp_path.parent / "evil.safetensors").exists()


def refused(path, **options):
    with pytest.raises(UserFacingError) as caught:
        unpacked(path, **options)
    assert not (path.parent / "out").exists()
    return caught.value.key


def test_archives_that_want_to_do_harm(tmp_path, monkeypatch):
    bomb = zipped(tmp_path, [("x.safetensors", bytes(5_000_000))], "bomb.zip", compression=zipfile.ZIP_DEFLATED)
    assert refused(bomb) == "download_archive"
    big = zipped(tmp_path, [("x.safetensors", b"x" * 20_000)], "big.zip")
    assert refused(big, limit_bytes=1000) == "download_too_big"
    many = zipped(tmp_path, [(f"{n}.safetensors", b"x") for n in range(30)], "many.zip")
    assert refused(many) == "download_archive"
    crowd = zipped(tmp_path, [(f"{n}.txt", b"") for n in range(2500)], "crowd.zip")
    assert refused(crowd) == "download_archive"
    assert refused(zipped(tmp_path, [("x.txt", b"")], "none.zip")) == "download_archive_empty"
    assert refused(zipped(tmp_path, [("x.ckpt", b"")], "old.zip")) == "download_pickle"
    exotic = zipped(tmp_path, [("x.safetensors", b"x")], "exotic.zip", compression=zipfile.ZIP_LZMA)
    assert refused(exotic) == "download_archive"


def test_an_archive_whose_packed_bytes_are_damaged(tmp_path):
    path = zipped(tmp_path, [("x.safetensors", lora_bytes(tmp_path))], compression=zipfile.ZIP_DEFLATED)
    data = bytearray(path.read_bytes())
    start = 30 + len("x.safetensors")
    data[start : start + 40] = bytes(byte ^ 0xFF for byte in data[start : start + 40])
    path.write_bytes(data)
    assert refused(path) == "download_archive"


def test_archives_whose_lists_lie(tmp_path, monkeypatch):
    honest = zipped(tmp_path, [("x.safetensors", b"x" * 5000)]).read_bytes()

    def lying(name, data):
        (tmp_path / name).write_bytes(data)
        return refused(tmp_path / name)

    assert lying("cut.zip", honest[:-30]) == "download_archive"
    assert lying("start.zip", b"PK\x03\x04") == "download_archive"
    at = honest.rindex(b"PK\x01\x02")
    larger = honest[: at + 24] + struct.pack("<L", 50_000) + honest[at + 28 :]
    assert lying("larger.zip", larger) == "download_archive"
    smaller = honest[: at + 24] + struct.pack("<L", 50) + honest[at + 28 :]
    assert lying("smaller.zip", smaller) == "download_archive"
    encrypted = honest[: at + 8] + struct.pack("<H", 1) + honest[at + 10 :]
    assert lying("encrypted.zip", encrypted) == "download_archive"
    monkeypatch.setattr(archives.zipfile, "ZipFile", None)  # nobody may even begin to read such a list
    end = honest.rindex(b"PK\x05\x06")
    assert lying("list.zip", honest[: end + 12] + struct.pack("<L", 200 << 20) + honest[end + 16 :]) == (
        "download_archive"
    )
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, 200 << 20, 0)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 1)
    assert lying("list64.zip", honest[:end] + record + locator + honest[end:]) == "download_archive"


def test_an_archive_is_no_model_by_itself(tmp_path):
    path = zipped(tmp_path, [("x.safetensors", lora_bytes(tmp_path))], "x.safetensors")
    assert check_file(path, "lora").problem == "download_archive"
