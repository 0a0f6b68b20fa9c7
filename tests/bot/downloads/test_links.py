"""What people paste, and what hosts answer when asked about it."""

import json
from urllib.parse import unquote

import pytest
from aiohttp import web as server
from pydantic import SecretStr

from bot.downloads.links import LINKS_MAX, Link, parse_links, resolve
from bot.downloads.web import Tokens, Web, WebRules
from bot.errors import UserFacingError

from .conftest import Anywhere, redirects, refused, says

HASH = "AB" * 32


def urls(text):
    return [link.url for link in parse_links(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://a.example/x.safetensors", ["https://a.example/x.safetensors"]),
        ("https://a.example/x, https://b.example/y\nhttps://a.example/x", ["https://a.example/x", "https://b.example/y"]),
        ("https://a.example/x,https://b.example/y;https://c.example/z",
         ["https://a.example/x", "https://b.example/y", "https://c.example/z"]),
        ("https://a.example/a,b.safetensors", ["https://a.example/a,b.safetensors"]),
        ("<https://a.example/x>, ", ["https://a.example/x"]),
        ("https://a.example/x?sig=a%2Fb%3D#part", ["https://a.example/x?sig=a%2Fb%3D"]),
        ("http://www.civitai.com/models/12/some-name?modelVersionId=34",
         ["https://civitai.com/models/12/some-name?modelVersionId=34"]),
        ("https://civitai.com/api/download/models/5?type=Model&token=SECRET", ["https://civitai.com/api/download/models/5?type=Model"]),
        ("https://a.example/x?Token=SECRET", ["https://a.example/x"]),
        ("civitai.com/models/9", ["https://civitai.com/models/9"]),
        ("hf.co/a/b/blob/main/x.safetensors", ["https://huggingface.co/a/b/blob/main/x.safetensors"]),
        ("urn:air:sdxl:checkpoint:civitai:12@34", ["https://civitai.com/models/12?modelVersionId=34"]),
    ],
)  # fmt: skip
def test_links_as_people_paste_them(text, expected):
    assert urls(text) == expected


@pytest.mark.parametrize(
    ("text", "key"),
    [("", "download_no_link"), (" , ;", "download_no_link"), ("a red apple", "download_link"),
     ("file:///etc/passwd", "download_link"), ("ftp://a.example/x", "download_link"), ("https://", "download_link"),
     ("https://[::1", "download_link"), ("http://a.example:99999/x", "download_link"),
     ("https://a.example:port/x", "download_link"), ("https://xn--zzzz\u00df.example/x", "download_link"),
     ("https://me:pw@a.example/x", "download_with_password"),
     ("https://a.example/" + "x" * 3000, "download_link"),
     (" ".join(f"https://a.example/{n}" for n in range(LINKS_MAX + 1)), "download_many_links")],
)  # fmt: skip
def test_what_is_no_link(text, key):
    with pytest.raises(UserFacingError) as caught:
        parse_links(text)
    assert caught.value.key == key
    assert "pw" not in str(caught.value)


VERSION = {
    "id": 34, "modelId": 12, "name": "v2", "baseModel": "SD 1.5", "trainedWords": [" ink ", "", "wash"],
    "model": {"name": "Ink", "type": "LORA"},
    "files": [
        {"name": "ink_training.zip", "type": "Training Data", "sizeKB": 1, "downloadUrl": "https://x.example/t"},
        {"name": "ink.pt", "type": "Model", "sizeKB": 100, "primary": True, "metadata": {"format": "PickleTensor"},
         "downloadUrl": "https://x.example/pt", "hashes": {"SHA256": "CD" * 32}},
        {"name": "ink.safetensors", "type": "Model", "sizeKB": 144.5, "metadata": {"format": "SafeTensor"},
         "downloadUrl": "https://x.example/st", "hashes": {"SHA256": HASH, "AutoV2": "AB"}},
    ],
    "images": [{"url": "https://x.example/18.png", "nsfwLevel": 16, "type": "image"},
               {"url": "https://x.example/film.mp4", "nsfwLevel": 1, "type": "video"},
               {"url": "https://x.example/1.png", "nsfwLevel": 1, "type": "image"}],
}  # fmt: skip


@pytest.fixture
async def known(host, other):
    rules = WebRules(addresses=Anywhere(), allow_http=True, stall_s=2, civitai=host.origin, huggingface=other.origin)
    async with Web(rules, Tokens(SecretStr("key"), SecretStr("hf"))) as web:
        yield web


def gives_json(value):
    return says(json.dumps(value), Content_Type="application/json")


@pytest.mark.parametrize(
    "page",
    ["/models/12/ink?modelVersionId=34", "/model-versions/34", "/api/v1/model-versions/34", "/api/download/models/34",
     "/models/12", "/models/12/ink", "/api/v1/models/12"],
)  # fmt: skip
async def test_every_page_of_civitai_leads_to_its_file(known, host, page):
    host.routes["/api/v1/model-versions/34"] = gives_json(VERSION)
    bare = {key: value for key, value in VERSION.items() if key not in ("model", "modelId")}
    empty = {"id": 99, "name": "soon", "files": []}
    host.routes["/api/v1/models/12"] = gives_json(
        {"id": 12, "name": "Ink", "type": "LORA", "modelVersions": [empty, bare]}
    )
    source = await resolve(Link(host.url(page)), known)
    assert source.urls == ("https://x.example/st",)
    assert (source.filename, source.size_bytes, source.sha256) == ("ink.safetensors", 147968, HASH.lower())
    assert (source.kind, source.base, source.trigger_words) == ("lora", "SD 1.5", ("ink", "wash"))
    assert source.preview_url == "https://x.example/1.png"
    assert (source.title, source.page) == ("Ink v2", host.url("/models/12?modelVersionId=34"))
    assert host.asked[0].headers["Authorization"] == "Bearer key"


async def test_a_download_link_names_which_of_the_files(known, host):
    host.routes["/api/v1/model-versions/34"] = gives_json(VERSION)
    source = await resolve(Link(host.url("/api/download/models/34?type=Model&format=PickleTensor")), known)
    assert (source.filename, source.sha256) == ("ink.pt", "cd" * 32)


@pytest.mark.parametrize(
    ("answer", "key"),
    [
        ({**VERSION, "model": {"name": "x", "type": "Workflows"}}, "download_civitai_type"),
        ({**VERSION, "files": []}, "download_civitai_page"),
        ({**VERSION, "files": VERSION["files"][:1]}, "download_civitai_page"),
        ([], "download_bad_answer"),
        ({"id": "x"}, "download_bad_answer"),
        ({**VERSION, "files": [{"sizeKB": "NaN"}]}, "download_bad_answer"),
    ],
)
async def test_answers_of_civitai_that_lead_nowhere(known, host, answer, key):
    host.routes["/api/v1/model-versions/34"] = gives_json(answer)
    assert await refused(resolve(Link(host.url("/api/download/models/34")), known)) == key


@pytest.mark.parametrize(("page", "key"), [("/user/x", "download_civitai_page"), ("/models/7", "download_missing")])
async def test_pages_of_civitai_without_a_model(known, host, page, key):
    assert await refused(resolve(Link(host.url(page)), known)) == key


@pytest.mark.parametrize(
    ("page", "path", "name"),
    [
        ("/a/b/blob/main/x.safetensors", "/a/b/resolve/main/x.safetensors", "x.safetensors"),
        ("/a/b/resolve/refs%2Fpr%2F1/sub/x%20y.safetensors?download=true",
         "/a/b/resolve/refs%2Fpr%2F1/sub/x%20y.safetensors", "x y.safetensors"),
        ("/gpt2/raw/main/x.bin", "/gpt2/resolve/main/x.bin", "x.bin"),
        ("/datasets/a/b/blob/main/x.pt", "/datasets/a/b/resolve/main/x.pt", "x.pt"),
    ],
)  # fmt: skip
async def test_files_on_hugging_face(known, other, host, page, path, name):
    """The hub's own headers count, and the place where the bytes lie is not asked."""

    async def hub(request):
        sent = {"X-Linked-Etag": f'"{HASH}"', "X-Linked-Size": "1234", "Location": host.url("/cdn")}
        return server.Response(status=302, headers=sent)

    other.routes[unquote(path)] = hub
    source = await resolve(Link(other.url(page)), known)
    assert source.urls == (other.url(path),)
    assert (source.filename, source.size_bytes, source.sha256) == (name, 1234, HASH.lower())
    assert [request.method for request in other.asked] == ["HEAD"]
    assert other.asked[0].raw_path == path
    assert other.asked[0].headers["Authorization"] == "Bearer hf"
    assert host.asked == []


async def test_a_repository_that_was_renamed(known, other):
    other.routes["/old/b/resolve/main/x.safetensors"] = redirects("/new/b/resolve/main/x.safetensors", 307)
    other.routes["/new/b/resolve/main/x.safetensors"] = says(ETag='"abc"')
    source = await resolve(Link(other.url("/old/b/blob/main/x.safetensors")), known)
    assert (source.sha256, source.size_bytes) == (None, None)


async def test_pages_of_hugging_face_without_a_file(known, other):
    for page in ("/a/b", "/a/b/tree/main", "/", "/a/b/resolve/main/"):
        assert await refused(resolve(Link(other.url(page)), known)) == "download_huggingface_page", page
    other.routes["/a/b/resolve/main/x"] = says(status=401)
    assert await refused(resolve(Link(other.url("/a/b/blob/main/x")), known)) == "download_login_huggingface"


async def test_other_links_are_taken_as_they_are(known):
    direct = "https://a.example/x.safetensors?sig=a%2Fb"
    source = await resolve(Link(direct), known)
    assert (source.urls, source.page) == ((direct,), "https://a.example/x.safetensors")
    source = await resolve(Link("https://github.com/o/r/blob/v1/w/x.pth"), known)
    assert source.urls == ("https://github.com/o/r/raw/v1/w/x.pth",)
