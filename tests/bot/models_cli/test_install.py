"""`models install`: real files, real looks into them, real moves; only the hosts are a dictionary."""

import hashlib
import io
import os
import pickle
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from bot import exit_codes
from bot.errors import StartupError, UserFacingError
from bot.i18n import LANGUAGES, texts_for
from bot.models_cli.finish import _convert
from bot.models_cli.install import install, parts_folder

from .conftest import EMBEDDING, LORA, entry

EN = texts_for("en")


def placed(made):
    return sorted(path.relative_to(made.models_dir).as_posix() for path in made.models_dir.rglob("*") if path.is_file())


async def test_asked_and_agreed(settings, person, network):
    made, wanted = settings(), entry()
    network.files[wanted.urls[0]] = EMBEDDING
    somebody = person("y")
    assert await install(somebody, made, [wanted], yes=False) == exit_codes.OK
    assert placed(made) == ["embeddings/easy.safetensors"]
    assert (made.models_dir / "embeddings" / "easy.safetensors").read_bytes() == EMBEDDING
    assert "12.4 kB" in somebody.shown
    assert "MIT" in somebody.shown
    assert EN("models_cli.install.summary", n=1) in somebody.shown
    assert not parts_folder(made, wanted).exists()


@pytest.mark.parametrize("answers", [("n",), ("",), ()])
async def test_nothing_is_fetched_without_a_yes(settings, person, network, answers):
    made = settings()
    somebody = person(*answers)
    assert await install(somebody, made, [entry()], yes=False) == exit_codes.OK
    assert (network.asked, placed(made)) == ([], [])
    assert EN("models_cli.install.declined") in somebody.shown


async def test_nobody_at_the_terminal_needs_yes(settings, person, network):
    made, wanted = settings(), entry()
    network.files[wanted.urls[0]] = EMBEDDING
    assert await install(person(here=False), made, [wanted], yes=False) == exit_codes.USAGE
    assert network.asked == []
    assert await install(person(here=False), made, [wanted], yes=True) == exit_codes.OK
    assert placed(made) == ["embeddings/easy.safetensors"]


async def test_what_is_there_is_not_fetched_again(settings, person, network):
    made = settings()
    (made.models_dir / "embeddings").mkdir(parents=True)
    (made.models_dir / "embeddings" / "EASY.safetensors").write_bytes(EMBEDDING)
    somebody = person()
    assert await install(somebody, made, [entry()], yes=True) == exit_codes.OK
    assert network.asked == []
    assert EN("models_cli.install.nothing") in somebody.shown


async def test_unverified_entry_is_refused_with_the_next_step(settings, person, network):
    made = settings()
    somebody = person()
    assert await install(somebody, made, [entry(sha256=None)], yes=True) == exit_codes.UNEXPECTED
    assert network.asked == []
    assert "models verify easy" in somebody.shown


async def test_one_failure_spoils_only_itself(settings, person, network):
    made, first, second = settings(), entry("first"), entry("second")
    network.files[second.urls[0]] = EMBEDDING
    somebody = person(language="es")
    assert await install(somebody, made, [first, second], yes=True) == exit_codes.UNEXPECTED
    assert placed(made) == ["embeddings/second.safetensors"]
    say = texts_for("es")
    assert say("error.checkpoint_none") in somebody.shown
    assert say("models_cli.install.again", n=1) in somebody.shown
    assert say("models_cli.install.summary", n=1) in somebody.shown


async def test_unfinished_file_stays_for_the_next_run(settings, person, network):
    made, wanted = settings(), entry()

    async def half(wanted, folder, on_progress):
        (folder / "half.part").write_bytes(b"half")
        raise UserFacingError("checkpoint_none")

    network.fetch = half
    assert await install(person(), made, [wanted], yes=True) == exit_codes.UNEXPECTED
    assert (parts_folder(made, wanted) / "half.part").read_bytes() == b"half"
    assert placed(made) == []


@pytest.mark.parametrize(
    ("content", "kind", "key", "values"),
    [
        (LORA, "vae", "models_cli_wrong_kind", {"found": "lora"}),
        (b"<html>please log in</html>", "embedding", "models_cli_no_model", {"problem": "corrupt"}),
        (pickle.dumps(os.system, protocol=2), "upscaler", "models_cli_no_model", {"problem": "unsafe"}),
        (EMBEDDING, "checkpoint", "models_cli_wrong_kind", {"found": "embedding"}),
    ],
)
async def test_what_is_not_as_the_catalogue_says_stays_out(settings, person, network, content, kind, key, values):
    made, wanted = settings(), entry(content=content, kind=kind, allow_pickle=True)
    network.files[wanted.urls[0]] = content
    somebody = person()
    assert await install(somebody, made, [wanted], yes=True) == exit_codes.UNEXPECTED
    assert placed(made) == []
    assert not parts_folder(made, wanted).exists()
    assert EN(f"error.{key}", **values) in somebody.shown


@pytest.mark.parametrize(
    ("kind", "folder", "wrapper"),
    [
        ("upscaler", "upscalers", None),
        ("upscaler", "upscalers", "params_ema"),
        ("vae", "vae", "state_dict"),
        ("face", "face", "params_ema"),
        ("annotator", "annotators", "model"),
        ("annotator", "annotators", "depth_model"),
    ],
)
async def test_listed_pickle_is_kept_as_safetensors(settings, person, network, kind, folder, wrapper):
    tensors = {"decoder.conv_in.weight": torch.ones(4, 4, 3, 3), "encoder.conv_in.weight": torch.ones(4, 3, 3, 3)}
    content = io.BytesIO()
    torch.save(tensors if wrapper is None else {wrapper: tensors, "epoch": 3}, content)
    made, wanted = settings(), entry(content=content.getvalue(), kind=kind, allow_pickle=True, name="some.vae")
    network.files[wanted.urls[0]] = content.getvalue()
    somebody = person()
    assert await install(somebody, made, [wanted], yes=True) == exit_codes.OK, somebody.shown
    assert placed(made) == [f"{folder}/some.vae.safetensors"]
    loaded = load_file(made.models_dir / folder / "some.vae.safetensors")
    assert loaded.keys() == tensors.keys()


async def test_pickle_of_a_checkpoint_that_is_not_allowed_stays_out(settings, person, network):
    content = io.BytesIO()
    torch.save({"decoder.conv_in.weight": torch.ones(4, 4, 3, 3), "encoder.conv_in.weight": torch.ones(4)}, content)
    made, wanted = settings(), entry(content=content.getvalue(), kind="vae")
    network.files[wanted.urls[0]] = content.getvalue()
    somebody = person()
    assert await install(somebody, made, [wanted], yes=True) == exit_codes.UNEXPECTED
    assert placed(made) == []
    assert EN("error.models_cli_pickle_refused") in somebody.shown


async def test_unlisted_pickle_stays_out(settings, person, network):
    content = pickle.dumps({"anything": 1}, protocol=2)
    made, wanted = settings(), entry(content=content, kind="annotator")
    network.files[wanted.urls[0]] = content
    somebody = person()
    assert await install(somebody, made, [wanted], yes=True) == exit_codes.UNEXPECTED
    assert placed(made) == []


async def test_full_disk_is_told_before_anything_is_asked(settings, person, network, monkeypatch):
    made = settings()
    real = shutil.disk_usage
    monkeypatch.setattr(shutil, "disk_usage", lambda path: real(path)._replace(free=10_000_000))
    with pytest.raises(StartupError) as caught:
        await install(person("y"), made, [entry()], yes=False)
    assert "10 MB" in caught.value.sentence
    assert caught.value.fix
    assert network.asked == []


async def test_budget_is_told(settings, person, network):
    made, wanted = settings(PINCEL_DISK_BUDGET_GB=0.5), entry(size_bytes=600_000_000)
    somebody = person("n")
    await install(somebody, made, [wanted], yes=False)
    assert "600 MB" in somebody.shown
    assert "PINCEL_DISK_BUDGET_GB" in somebody.shown


async def test_unwritable_folder_is_told(settings, person, network):
    made, wanted = settings(), entry()
    network.files[wanted.urls[0]] = EMBEDDING
    made.models_dir.mkdir(parents=True)
    (made.models_dir / "embeddings").write_text("in the way")
    somebody = person()
    assert await install(somebody, made, [wanted], yes=True) == exit_codes.UNEXPECTED
    assert "✗" in somebody.shown


async def test_name_of_a_useless_file_is_not_taken(settings, person, network):
    made, wanted = settings(), entry()
    network.files[wanted.urls[0]] = EMBEDDING
    (made.models_dir / "embeddings").mkdir(parents=True)
    (made.models_dir / "embeddings" / "easy.safetensors").write_bytes(b"half")
    assert await install(person(), made, [wanted], yes=True) == exit_codes.OK
    assert placed(made) == ["embeddings/easy 2.safetensors", "embeddings/easy.safetensors"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_problem_has_its_sentence(language):
    say = texts_for(language)
    keys = ("pickle_refused", "no_model", "wrong_kind", "disk")
    assert all(say.has(f"error.models_cli_{key}") for key in keys)


async def test_content_decides_the_suffix_whatever_its_address_says(settings, person, network):
    made = settings()
    wanted = replace(entry(), name="")
    network.files[wanted.urls[0]] = EMBEDDING
    assert await install(person(), made, [wanted], yes=True) == exit_codes.OK
    assert placed(made) == ["embeddings/whole.safetensors"]


# --- what belongs beside a model --------------------------------------------------------------------------------------


def with_table(**fields):
    table = b"tag_id,name,category,count\n0,sky,0,1\n"
    known = {"beside_url": "https://example.org/selected_tags.csv", "beside_sha256": hashlib.sha256(table).hexdigest()}
    return entry(**(known | fields)), table


async def test_a_small_file_is_put_beside_it(settings, person, network):
    tagger, table = with_table()
    network.files = {tagger.urls[0]: EMBEDDING, tagger.beside_url: table}
    assert await install(person(), settings(), (tagger,), yes=True) == exit_codes.OK
    folder = settings().models_dir / "embeddings"
    assert (folder / "easy.csv").read_bytes() == table
    assert sorted(path.name for path in folder.iterdir()) == ["easy.csv", "easy.safetensors"]


@pytest.mark.parametrize("answer", [b"another table", UserFacingError("checkpoint_none")])
async def test_without_it_nothing_is_installed(settings, person, network, answer):
    tagger, _ = with_table()
    network.files = {tagger.urls[0]: EMBEDDING, tagger.beside_url: answer}
    assert await install(person(), settings(), (tagger,), yes=True) == exit_codes.UNEXPECTED
    assert not (settings().models_dir / "embeddings").exists()


def test_its_hash_is_needed_too():
    assert with_table()[0].installable
    assert not with_table(beside_sha256=None)[0].installable


def test_a_disk_that_takes_no_rewritten_file_is_told(tmp_path):
    pickled = tmp_path / "a.pth"
    torch.save({"a": torch.ones(2)}, pickled)
    with pytest.raises(UserFacingError, match="models_cli_disk"):
        _convert(pickled, tmp_path / "nowhere" / "a.safetensors")
