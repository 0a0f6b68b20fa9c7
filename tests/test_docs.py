"""The pages tell the truth as far as a program can see: links, files, commands, options."""

import importlib.util
import re
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest
from PIL import Image

from bot import exit_codes
from bot.i18n import load_language
from bot.settings import setting_keys

CHECKOUT = Path(__file__).resolve().parents[1]
PAGES = sorted([*CHECKOUT.glob("*.md"), *CHECKOUT.glob("docs/**/*.md"), CHECKOUT / "data" / "demo" / "README.md"])
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
CODE = re.compile(r"```.*?```|`([^`\n]+)`", re.DOTALL)
OURS = (
    "bot/",
    "cogs/",
    "gpu_worker/",
    "bench/",
    "tests/",
    "docs/",
    "data/demo",
    ".ci/",
    "deploy/",
    "notebooks/",
    "launch.py",
    "pyproject.toml",
)


def read(page):
    return page.read_text(encoding="utf-8")


def anchors(page):
    """As GitHub makes them."""
    return {anchor_of(heading) for heading in HEADING.findall(read(page))}


def anchor_of(heading):
    return re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-")


def links(page):
    for target in LINK.findall(read(page)):
        if "://" not in target:
            path, _, anchor = unquote(target).partition("#")
            yield (page.parent / path).resolve() if path else page, anchor


@pytest.fixture(scope="module")
def launch():
    spec = importlib.util.spec_from_file_location("launch_for_docs", CHECKOUT / "launch.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(CHECKOUT).as_posix())
def test_links_lead_somewhere(page):
    for target, anchor in links(page):
        assert target.exists(), f"{page.name}: {target}"
        if anchor:
            assert anchor in anchors(target), f"{page.name}: {target.name}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(CHECKOUT).as_posix())
def test_named_files_exist(page):
    for name in filter(None, CODE.findall(read(page))):
        if name.startswith(OURS) and " " not in name and not re.search(r"[<*]", name):
            assert (CHECKOUT / name).exists(), f"{page.name} names {name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(CHECKOUT).as_posix())
def test_rows_of_tables_have_as_many_cells_as_their_head(page):
    """GitHub ends a cell at a bar even within code; it is written `\\|` there."""
    text = re.sub(r"^```.*?^```", "", read(page), flags=re.DOTALL | re.MULTILINE)
    for table in re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE):
        cells = {row: len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}
        head = next(iter(cells.values()))
        assert [row for row, count in cells.items() if count != head] == []


def test_every_page_can_be_reached_from_the_readme():
    reached, open_pages = set(), [CHECKOUT / "README.md"]
    while open_pages:
        page = open_pages.pop()
        if page not in reached and page.suffix == ".md":
            reached.add(page)
            open_pages += [target for target, _ in links(page)]
    assert set(PAGES) <= reached


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(CHECKOUT).as_posix())
def test_commands_of_the_pages_exist(page, launch):
    known = {*launch.PASSED_ON, "test", "--listen", "--help", "--version"}
    for command in re.findall(r"python3? launch\.py +([a-z-]+)", read(page)):
        assert command in known, f"{page.name}: launch.py {command}"


def test_readme_names_every_command(launch):
    text = read(CHECKOUT / "README.md")
    assert [name for name in (*launch.PASSED_ON, "test") if f"launch.py {name}" not in text] == []


def test_members_page_names_every_command_and_option():
    english, words = load_language("en"), words_in_code("users.md") | words_in_code("prompts.md")
    commands = {
        key: name
        for key, name in english.items()
        if re.fullmatch(r"command\.(?!model_admin|moderation|limits|admin\.).+\.name", key)
    }
    options = {
        key: name for key, name in english.items() if re.fullmatch(r"option\.(imagine|style\.save)\..+\.name", key)
    }
    assert len(commands) >= 9
    assert len(options) >= 30
    assert {key: name for key, name in (commands | options).items() if name not in words} == {}


def test_admins_page_names_every_command_for_models():
    english, words = load_language("en"), words_in_code("admins-models.md")
    commands = {key: name for key, name in english.items() if re.fullmatch(r"command\.model_admin\..+\.name", key)}
    assert len(commands) >= 20
    assert {key: name for key, name in commands.items() if name not in words} == {}


def test_admins_page_names_every_command_of_moderators():
    english, words = load_language("en"), words_in_code("admins.md")
    commands = {
        key: name for key, name in english.items() if re.fullmatch(r"command\.(moderation|limits)\b.*\.name", key)
    }
    assert len(commands) >= 11
    assert {key: name for key, name in commands.items() if name not in words} == {}


def test_admins_and_operators_pages_name_every_command_for_them():
    english, words = load_language("en"), words_in_code("admins.md") | words_in_code("operators.md")
    commands = {key: name for key, name in english.items() if re.fullmatch(r"command\.admin\..+\.name", key)}
    assert len(commands) >= 7
    assert {key: name for key, name in commands.items() if name not in words} == {}


def words_in_code(page):
    spoken = re.findall(r"`/?([^`]+)`", read(CHECKOUT / "docs" / page))
    return {word for code in spoken for word in re.findall(r"[a-z_]+(?:-[a-z_]+)*", code)}


def test_operators_page_explains_every_setting():
    assert [key for key in setting_keys() if f"`{key}`" not in read(CHECKOUT / "docs" / "operators.md")] == []


def test_long_pages_have_a_table_of_contents():
    long = [page for page in PAGES if page.parent.name == "docs" and len(read(page).splitlines()) > 150]
    assert len(long) >= 4
    for page in (*long, CHECKOUT / "ARCHITECTURE.md"):
        before_first_section = read(page).split("\n## ")[0]
        assert set(re.findall(r"\(#([^)]+)\)", before_first_section)) >= {
            anchor_of(heading) for heading in re.findall(r"^## (.+)$", read(page), re.MULTILINE)
        }, page.name


def test_operators_page_explains_every_exit_code():
    rows = {int(code) for code in re.findall(r"^\| (\d+) \|", read(CHECKOUT / "docs" / "operators.md"), re.MULTILINE)}
    assert rows == {value for name, value in vars(exit_codes).items() if name.isupper()}


def test_custom_ids_of_the_architecture_page_are_the_codecs():
    from bot.ui.codec import VERBS

    _, section = read(CHECKOUT / "ARCHITECTURE.md").split("## Addresses on buttons")
    table = [line for line in section.split("\n## ")[0].splitlines() if line.startswith("| `")]
    assert {verb for line in table for verb in re.findall(r"`([a-z]+)`", line.split("|")[1])} == VERBS


def test_architecture_names_every_package():
    """Tracked ones; those of the engine in its own table, by their short names."""
    listed = subprocess.run(
        ["git", "ls-files", "*/__init__.py"], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    text = read(CHECKOUT / "ARCHITECTURE.md") + read(CHECKOUT / "docs" / "architecture-models.md")
    named = {
        name.rstrip("/") for code in re.findall(r"`([^`\n]+)`", text) for name in (code, f"gpu_worker/engine/{code}")
    }
    packages = {Path(line).parent.as_posix() for line in listed.stdout.split()}
    ours = {
        name for name in packages if name.startswith(("bot/", "cogs", "gpu_worker/")) and (CHECKOUT / name).exists()
    }
    assert len(ours) > 30
    assert sorted(ours - named) == [], "give each a row in ARCHITECTURE.md or docs/architecture-models.md"


def test_screenshot_is_small_and_whole():
    path = CHECKOUT / "docs" / "images" / "playground.png"
    assert path.stat().st_size < 300_000
    with Image.open(path) as image:
        assert image.size == (1280, 800)
        image.load()


def test_no_package_registry_is_named_anywhere():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    # Written apart, or this file would name them.
    hosts = [b"py" + b"pi.org", b"python" + b"hosted.org", b"download.py" + b"torch.org", b"npm" + b"js.org",
             b"ana" + b"conda.org", b"proxy.go" + b"lang.org", b"crates" + b".io"]  # fmt: skip
    found = []
    for name in filter(None, listed.stdout.decode().split("\0")):
        path = CHECKOUT / name
        if path.is_file() and path.suffix not in (".png", ".safetensors"):
            data = path.read_bytes().lower()
            found += [f"{name}: {host.decode()}" for host in hosts if host in data]
    assert found == []
