"""The catalogue: what ships, what operators write, and every way in which a file can be wrong."""

import typing

import pytest

from bot.catalogue import (
    SHIPPED,
    CatalogueError,
    UnknownNameError,
    load_catalogue,
    operator_file,
    operators_catalogue,
    verified_file,
)
from bot.catalogue.reader import FoundRow, ModelRow
from bot.i18n import LANGUAGES, texts_for
from gpu_worker.protocol.messages import ModelKind

GOOD = """
[[model]]
key = "mine"
title = "Mine"
kind = "lora"
urls = ["https://example.org/files/mine.safetensors"]
"""
HASH = "ab" * 32


# --- what ships -------------------------------------------------------------------------------------------------------


def test_shipped_catalogue_lists_what_the_guide_recommends():
    catalogue = load_catalogue()
    kinds = {kind: [e for e in catalogue.entries if e.kind == kind] for kind in typing.get_args(ModelKind)}
    assert {"start", "controlnet", "annotators", "upscalers"} <= catalogue.sets.keys()
    assert len(kinds["vae"]) == 3
    assert len(kinds["controlnet"]) == 14
    assert {"r-esrgan-4x", "r-esrgan-4x-anime", "remacri", "easynegative"} <= {e.key for e in catalogue.entries}
    assert all(entry.page for entry in catalogue.entries)


def test_start_set_can_be_installed_as_it_ships():
    start = load_catalogue().sets["start"]
    assert {entry.kind for entry in start} >= {"checkpoint", "vae", "embedding", "upscaler"}
    assert all(entry.installable for entry in start)


def test_shipped_empty_fields_are_marked_and_filled_ones_are_not():
    for number, line in enumerate(SHIPPED.read_text(encoding="utf-8").splitlines(), 1):
        for field, empty in (("urls", "[]"), ("sha256", '""'), ("size_bytes", "0")):
            if line.startswith(f"{field} = "):
                is_empty = line.removeprefix(f"{field} = ").split("  #")[0] == empty
                assert is_empty == line.endswith("# unverified"), f"line {number}: {line}"


def test_names_of_shipped_files_are_unique_within_their_kind():
    named = [(entry.kind, entry.name) for entry in load_catalogue().entries if entry.name]
    assert len(named) == len(set(named))


def test_pickles_are_declared_as_such():
    for entry in load_catalogue().entries:
        pickled = any(url.endswith((".pth", ".pt", ".ckpt", ".bin")) for url in entry.urls)
        # The address of LDSR's last.ckpt is a share without a name.
        assert entry.allow_pickle == (pickled or entry.key == "ldsr"), entry.key


# --- looking up -------------------------------------------------------------------------------------------------------


def test_find_by_key_and_set_keeps_order_and_takes_each_once():
    catalogue = load_catalogue()
    found = catalogue.find(["Remacri ", "upscalers"])
    assert [entry.key for entry in found] == ["remacri", "r-esrgan-4x", "r-esrgan-4x-anime"]
    assert catalogue.by_sha256(found[0].sha256.upper()) == found[0]
    assert catalogue.by_sha256(HASH) is None


def test_unknown_name_suggests_close_ones():
    with pytest.raises(UnknownNameError) as caught:
        load_catalogue().find(["remakri"])
    assert caught.value.key == "catalogue_unknown"
    assert "remacri" in caught.value.values["closest"]


# --- an operator's files ----------------------------------------------------------------------------------------------


def test_operator_adds_and_changes(tmp_path):
    operator_file(tmp_path).write_text(
        GOOD + f'[[model]]\nkey = "pastel-mix"\nsha256 = "{HASH.upper()}"\nsets = ["start"]\n', encoding="utf-8"
    )
    catalogue = operators_catalogue(tmp_path)
    mine, changed = catalogue.get("mine"), catalogue.get("pastel-mix")
    assert mine.name == "mine"
    assert mine.unverified == ("sha256", "size_bytes")
    assert changed.sha256 == HASH
    assert changed.title == load_catalogue().get("pastel-mix").title
    assert changed in catalogue.sets["start"]
    assert changed not in catalogue.sets["checkpoints"]


def test_changed_address_drops_the_old_hash(tmp_path):
    operator_file(tmp_path).write_text(
        '[[model]]\nkey = "remacri"\nurls = ["https://example.org/other.pth"]\n', encoding="utf-8"
    )
    entry = operators_catalogue(tmp_path).get("remacri")
    assert (entry.sha256, entry.size_bytes, entry.installable) == (None, None, False)


def test_found_values_fill_only_what_is_empty(tmp_path):
    asked = load_catalogue().get("pastel-mix").urls[0]
    remacri = load_catalogue().get("remacri")
    verified_file(tmp_path).write_text(
        f'[[found]]\nkey = "pastel-mix"\nasked = "{asked}"\nsha256 = "{HASH}"\nsize_bytes = 5\n'
        f'[[found]]\nkey = "remacri"\nasked = "{remacri.urls[0]}"\nsha256 = "{HASH}"\nsize_bytes = 5\n'
        f'[[found]]\nkey = "deliberate-2"\nasked = "https://example.org/old"\nsha256 = "{HASH}"\n'
        f'[[found]]\nkey = "gone"\nasked = "https://example.org/old"\n',
        encoding="utf-8",
    )
    catalogue = operators_catalogue(tmp_path)
    assert (catalogue.get("pastel-mix").sha256, catalogue.get("pastel-mix").size_bytes) == (HASH, 5)
    assert catalogue.get("remacri") == remacri
    assert catalogue.get("deliberate-2").sha256 is None  # asked of an address that is not the entry's any more


def test_found_addresses_give_a_name(tmp_path):
    page = load_catalogue().get("thicker-lines").page
    url = "https://example.org/Thicker%20Lines.safetensors"
    verified_file(tmp_path).write_text(
        f'[[found]]\nkey = "thicker-lines"\nasked = "{page}"\nurls = ["{url}"]\nsha256 = "{HASH}"\n', encoding="utf-8"
    )
    entry = operators_catalogue(tmp_path).get("thicker-lines")
    assert (entry.urls, entry.name, entry.installable) == ((url,), "Thicker Lines", True)


def test_windows_text_is_read(tmp_path):
    operator_file(tmp_path).write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert operators_catalogue(tmp_path).get("mine") is not None


# --- mistakes ---------------------------------------------------------------------------------------------------------


def with_line(line: str) -> str:
    return GOOD + line + "\n"


def replaced(field: str, value: str) -> str:
    return "\n".join(f"{field} = {value}" if row.startswith(f"{field} =") else row for row in GOOD.splitlines())


@pytest.mark.parametrize(
    ("text", "reason", "line", "field"),
    [
        ("[[model]]\nkey = mine\n", "toml", 2, ""),
        ('[[model]]\nkey = "mine\n', "toml", 2, ""),
        (GOOD + "[extra]\na = 1\n", "section", 7, "extra"),
        ("model = 3\n", "section", 1, "model"),
        (with_line("colour = 1"), "unknown_field", 7, "colour"),
        (replaced("key", '"My Model"'), "key", 3, "key"),
        (replaced("key", "7"), "key", 3, "key"),
        (replaced("title", '""'), "title", 4, "title"),
        (replaced("kind", '"checkpoints"'), "kind", 5, "kind"),
        (replaced("urls", '["http://example.org/a.safetensors"]'), "urls", 6, "urls"),
        (replaced("urls", '["https://user:word@example.org/a"]'), "urls", 6, "urls"),
        (replaced("urls", '["https://[::1/a"]'), "urls", 6, "urls"),
        (replaced("urls", '"https://example.org/a"'), "urls", 6, "urls"),
        (with_line('family = "flux"'), "family", 7, "family"),
        (with_line('name = "../x"'), "name", 7, "name"),
        (with_line('name = "nul.vae"'), "name", 7, "name"),
        (with_line('name = ".hidden"'), "name", 7, "name"),
        (with_line('sha256 = "abc"'), "sha256", 7, "sha256"),
        (with_line("size_bytes = -1"), "size_bytes", 7, "size_bytes"),
        (with_line('size_bytes = "5"'), "size_bytes", 7, "size_bytes"),
        (with_line("licence = 3"), "licence", 7, "licence"),
        (with_line('page = "example.org"'), "page", 7, "page"),
        (with_line('allow_pickle = "yes"'), "allow_pickle", 7, "allow_pickle"),
        (with_line('sets = ["Start"]'), "sets", 7, "sets"),
        (GOOD + GOOD, "twice", 9, "key"),
        ('[[model]]\nkey = "new"\ntitle = "New"\nurls = ["https://example.org/a"]\n', "missing_field", 1, "kind"),
        ('[[model]]\ntitle = "New"\n', "missing_field", 1, "key"),
        ('\n[[model]]\nkey = "new"\ntitle = "New"\nkind = "vae"\n', "no_source", 2, "urls"),
        (with_line('sets = ["mine"]'), "set_is_key", 2, "key"),
        (with_line('sets = ["remacri"]'), "set_is_key", 2, "sets"),
        (
            '[[model]]\nkey = "start"\ntitle = "S"\nkind = "vae"\npage = "https://example.org/"\n',
            "set_is_key",
            1,
            "key",
        ),
    ],
)
def test_mistake_is_named_by_line_and_field(tmp_path, text, reason, line, field):
    operator_file(tmp_path).write_text(text, encoding="utf-8")
    with pytest.raises(CatalogueError) as caught:
        operators_catalogue(tmp_path)
    error = caught.value
    assert (error.reason, error.line, error.field) == (reason, line, field)
    assert error.file == operator_file(tmp_path)
    for language in LANGUAGES:
        sentence = error.sentence(texts_for(language))
        assert str(line) in sentence
        assert str(operator_file(tmp_path)) in sentence


def test_second_of_two_models_is_named(tmp_path):
    operator_file(tmp_path).write_text(GOOD + GOOD.replace("mine", "second") + "size_bytes = 1.5\n", encoding="utf-8")
    with pytest.raises(CatalogueError) as caught:
        operators_catalogue(tmp_path)
    assert (caught.value.line, caught.value.entry) == (13, "second")


def test_inline_tables_work_and_their_mistakes_are_named_without_a_line(tmp_path):
    operator_file(tmp_path).write_text(
        'model = [{ key = "a", title = "A", kind = "vae", page = "https://example.org/" }]\n', encoding="utf-8"
    )
    assert operators_catalogue(tmp_path).get("a") is not None
    operator_file(tmp_path).write_text('model = [{ key = "a", kind = 3 }]\n', encoding="utf-8")
    with pytest.raises(CatalogueError) as caught:
        operators_catalogue(tmp_path)
    assert (caught.value.line, caught.value.field) == (0, "kind")
    assert ", line" not in caught.value.sentence(texts_for("en"))


def test_files_that_are_no_text(tmp_path):
    file = operator_file(tmp_path)
    file.write_bytes(b"# fine\n\xff\xfe")
    with pytest.raises(CatalogueError) as caught:
        operators_catalogue(tmp_path)
    assert (caught.value.reason, caught.value.line) == ("encoding", 2)
    file.unlink()
    file.mkdir()
    with pytest.raises(CatalogueError) as caught:
        operators_catalogue(tmp_path)
    assert caught.value.reason == "unreadable"
    with pytest.raises(CatalogueError) as caught:
        load_catalogue(tmp_path / "nowhere.toml")
    assert caught.value.reason == "missing"
    (tmp_path / "long.toml").write_bytes(b"#" * 4_000_001)
    with pytest.raises(CatalogueError) as caught:
        load_catalogue(tmp_path / "long.toml")
    assert caught.value.reason == "long"


def test_every_reason_has_its_sentence():
    fields = {*ModelRow.model_fields, *FoundRow.model_fields}
    for language in LANGUAGES:
        say = texts_for(language)
        assert all(say.has(f"catalogue.problem.{field}") for field in fields)
