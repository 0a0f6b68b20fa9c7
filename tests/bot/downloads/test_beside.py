"""A tagger comes with its list of tags, or not at all."""

import hashlib
import importlib.util
from pathlib import Path

import pytest

from bot.downloads import DownloadWish

from .conftest import gives, running, says

TABLE = b"tag_id,name,category,count\n0,sky,0,1\n"
_SPEC = importlib.util.spec_from_file_location(
    "small_tagger", Path(__file__).parents[2] / "gpu_worker" / "engine" / "small_tagger.py"
)
small_tagger = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(small_tagger)


@pytest.fixture
def wish(host, tmp_path):
    data = small_tagger.write_tagger(tmp_path / "seed").read_bytes()
    host.routes["/model.onnx"] = gives(data)
    return DownloadWish(
        host.url("/model.onnx"), kind="tagger", name="small", sha256=hashlib.sha256(data).hexdigest(),
        beside_url=host.url("/selected_tags.csv"), beside_sha256=hashlib.sha256(TABLE).hexdigest(),
    )  # fmt: skip


async def test_both_files_come(place, host, wish):
    host.routes["/selected_tags.csv"] = gives(TABLE)
    async with running(place) as downloads:
        ended = await place.done(downloads, wish)
        file = place.library.get(ended.file_id)
    assert (file.kind, file.name) == ("tagger", "small")
    assert file.path.with_suffix(".csv").read_bytes() == TABLE


async def test_a_host_that_is_busy_for_a_moment(place, host, wish):
    answers = iter([says(status=503), gives(TABLE)])

    async def sometimes(request):
        return await next(answers)(request)

    host.routes["/selected_tags.csv"] = sometimes
    async with running(place) as downloads:
        assert (await place.done(downloads, wish)).state == "done"


@pytest.mark.parametrize(
    ("answer", "problem"), [(gives(b"another"), "download_hash"), (says(status=404), "download_missing")]
)
async def test_without_the_list_the_model_stays_out(place, host, wish, answer, problem):
    host.routes["/selected_tags.csv"] = answer
    async with running(place) as downloads:
        ended = await place.ended(downloads, await downloads.add(wish))
        assert (ended.state, ended.problem) == ("failed", problem)
        assert place.library.files("tagger") == ()
