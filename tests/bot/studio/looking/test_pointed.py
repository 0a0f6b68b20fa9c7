"""Pictures in messages of other programs: attachments, embeds, components, and what is forwarded."""

from types import SimpleNamespace

import discord
import pytest

from bot.studio.looking.pointed import pictures_shown

CDN = "https://cdn.discordapp.com/attachments/1/2"


def attachment(name, kind=None):
    return SimpleNamespace(url=f"{CDN}/{name}?ex=1&hm=2", filename=name, size=5, content_type=kind)


def embed(image=None, thumbnail=None):
    return discord.Embed.from_dict(
        {key: {"url": url} for key, url in (("image", image), ("thumbnail", thumbnail)) if url}
    )


def message(attachments=(), embeds=(), components=(), forwarded=()):
    return SimpleNamespace(
        attachments=[*attachments], embeds=[*embeds], components=[*components], message_snapshots=[*forwarded]
    )


def names(given):
    return [found.filename for found in pictures_shown(given)]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (message(), []),
        (message([attachment("a.png"), attachment("b.txt"), attachment("c", "image/webp")]), ["a.png", "c"]),
        (message(embeds=[embed(image=f"{CDN}/made.png?ex=5")]), ["made.png"]),
        (message([attachment("a.png")], [embed(image=f"{CDN}/a.png?other=1", thumbnail=f"{CDN}/t.jpg")]),
         ["a.png", "t.jpg"]),
        (message([attachment("a.png")], [embed(image="https://example.org/x.png")]), ["a.png"]),
        (message(embeds=[embed(image="https://example.org/x.png")]), ["x.png"]),
        (message(embeds=[embed(image="http://[bad/x.png")]), []),
        (message(forwarded=[message([attachment("f.jpeg")])]), ["f.jpeg"]),
        (message([attachment(f"{n}.png") for n in range(14)]), [f"{n}.png" for n in range(10)]),
    ],
)  # fmt: skip
def test_what_is_shown(given, found):
    assert names(given) == found


def test_galleries_thumbnails_and_files():
    def media(name):
        return SimpleNamespace(url=f"{CDN}/{name}")

    gallery = SimpleNamespace(items=[SimpleNamespace(media=media("g1.png")), SimpleNamespace(media=media("g2.webp"))])
    section = SimpleNamespace(children=[], accessory=SimpleNamespace(media=media("thumb.png")))
    file = SimpleNamespace(media=media("plain.txt"))
    box = SimpleNamespace(children=[gallery, section, file])
    assert names(message(components=[box])) == ["g1.png", "g2.webp", "thumb.png"]
