"""Styles in files and codes: A1111's own answers, our JSON, and what is hostile or broken."""

import base64
import hashlib
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.parameters import Parameters
from bot.domain.style_codes import decode_styles, encode_styles, find_code
from bot.domain.style_files import FILE_BYTES_MAX, STYLES_MAX, read_styles, write_csv, write_json
from bot.domain.style_names import StyleVersion
from bot.domain.styles import Style, StyleParameters, make_style
from bot.errors import UserFacingError

# Inputs to A1111's own modules/styles.py, and what it read; a cell that is missing is an empty one for us.
LOADED = [
    ('name,prompt,negative_prompt\nA,"a, {prompt}",bad\nB,b,\n', {"A": ("a, {prompt}", "bad"), "B": ("b", "")}),
    ("\ufeffname,prompt,negative_prompt\nÁ,é,ü\n", {"Á": ("é", "ü")}),
    ("name,text\nOld,foo bar\n", {"Old": ("foo bar", "")}),
    ("name,prompt,negative_prompt\n#c,x,y\nA,1,2\nA,3,4\n", {"A": ("3", "4")}),
    ('name, prompt, negative_prompt\nA, "x, y", z\n', {"A": ("x, y", "z")}),
    ("name,prompt,negative_prompt\nA,onlyprompt\n", {"A": ("onlyprompt", "")}),
    ('name,prompt,negative_prompt\r\nA,"a ""q""\nb",c\r\n', {"A": ('a "q"\nb', "c")}),
]


@pytest.mark.parametrize(("text", "styles"), LOADED)
def test_csv_as_a1111_reads_it(text, styles):
    assert {s.name: (s.prompt, s.negative_prompt) for s in read_styles(text.encode()).styles} == styles


def test_csv_as_a1111_writes_it():
    styles = [Style(name="A", prompt="a, b", negative_prompt="c"),
              Style(name="N", prompt='x "q", {prompt}', negative_prompt="neg\nline")]  # fmt: skip
    data = write_csv(styles)
    assert data[:3] == b"\xef\xbb\xbf"
    assert data.decode("utf-8-sig") == (
        'name,prompt,negative_prompt\r\nA,"a, b",c\r\nN,"x ""q"", {prompt}","neg\nline"\r\n'
    )
    assert list(read_styles(data).styles) == styles


def test_every_refused_row_says_why_and_the_others_are_read():
    rows = ("Good,a,b", ",a,b", "@all,a,b", "Empty,,", "Good,c,d", "None,a,b", "------------ styles.csv ------------,,")
    text = "\n".join(("name,prompt,negative_prompt", *rows))
    read = read_styles(text.encode())
    assert [(s.name, s.prompt) for s in read.styles] == [("Good", "c")]
    assert [(r.row, r.key) for r in read.refused] == [
        (2, "style_name_empty"), (3, "style_name_signs"), (4, "style_empty"), (5, "style_twice"),
        (6, "style_name_none"),
    ]  # fmt: skip
    assert read.skipped == 1


@pytest.mark.parametrize(
    ("data", "key"),
    [
        (b"foo,bar\n1,2\n", "style_file_columns"),
        (b"", "style_file_empty"),
        (b"name,prompt\n", "style_file_empty"),
        (b"\xff\xfa\x80", "style_file_unreadable"),
        (b"name,prompt\nA,\0\n", "style_file_unreadable"),
        (b"PK\x03\x04\x00\x00", "style_file_unreadable"),
        (b"{not json", "style_file_unreadable"),
        (b"[" * 100_000, "style_file_unreadable"),
        (b'{"styles": 5}', "style_file_columns"),
        (b"[]", "style_file_empty"),
        (b"x" * (FILE_BYTES_MAX + 1), "style_file_long"),
        (b'name,prompt\nA,"' + b"x" * 200_000, "style_file_unreadable"),
    ],
)
def test_other_files_are_refused(data, key):
    with pytest.raises(UserFacingError) as refused:
        read_styles(data)
    assert refused.value.key == key


def test_a_file_of_very_many_styles_is_read_as_far_as_it_may():
    rows = "".join(f"s{n},p\n" for n in range(STYLES_MAX + 3))
    read = read_styles(f"name,prompt\n{rows}".encode())
    assert (len(read.styles), [r.key for r in read.refused]) == (STYLES_MAX, ["style_file_many"] * 3)


def test_utf_16_as_spreadsheets_save_it():
    assert read_styles("name,prompt\nÁ,é\n".encode("utf-16")).styles[0].name == "Á"


def test_json_keeps_parameters_and_shows_versions():
    style = make_style("Ink", "{prompt}, ink", "photo", Parameters(steps=9, sampler="Euler a", seed_resize=(512, 512)))
    older = StyleVersion(1, Style(name="Ink", prompt="old"), 7, 1000.0)
    data = write_json([style], {"Ink": [older]})
    assert json.loads(data)["styles"][0]["versions"][0]["prompt"] == "old"
    assert b'"made_by"' not in data
    assert list(read_styles(data).styles) == [style]


def test_lists_of_other_programs():
    read = read_styles(
        b'[{"name": "sai-anime", "prompt": "anime {prompt}", "negative_prompt": "photo"}, 5, {"name": 3}]'
    )
    assert [style.name for style in read.styles] == ["sai-anime"]
    assert len(read.refused) == 2


@pytest.mark.parametrize(
    "parameters", ['{"steps": 999}', '{"steps": "x"}', '{"unheard_of": 1}', '{"seed_resize": [1]}']
)
def test_parameters_that_nobody_could_save_are_refused(parameters):
    read = read_styles(f'[{{"name": "A", "prompt": "a", "parameters": {parameters}}}]'.encode())
    assert [r.key for r in read.refused] == ["style_parameters"]


def nameable(name):
    return name == " ".join(name.split()) and not name.startswith("---") and any(map(str.isalpha, name))


PROMPTS = st.text(alphabet="abc ñ日{prompt},()\n", min_size=1, max_size=400).map(str.strip)
STYLES = st.builds(
    Style,
    name=st.text(alphabet="abcÁñ日 -,", min_size=1, max_size=20).filter(nameable),
    prompt=PROMPTS.filter(lambda text: text.strip(" ,;\n")),
    negative_prompt=st.text(alphabet="abc,", max_size=50),
    parameters=st.builds(StyleParameters, steps=st.none() | st.integers(1, 150), tiling=st.none() | st.booleans()),
)


@given(st.lists(STYLES, min_size=1, max_size=5, unique_by=lambda s: s.name))
def test_a_code_gives_back_what_it_holds(styles):
    code = encode_styles(styles)
    assert list(decode_styles(code).styles) == styles
    assert find_code(f"look: {code}, nice") == code


def test_a_usual_style_makes_a_short_code():
    prompt = "RAW photo, {prompt}, 8k uhd, dslr, soft lighting, high quality, film grain"
    negative = "lowres, bad anatomy, bad hands, text, error, cropped, worst quality, low quality, blurry"
    style = make_style("Photo", prompt, negative)
    assert len(encode_styles([style])) < 130


def forged(plain, number=1):

    from bot.domain.style_codes import _WORDS

    deflate = zlib.compressobj(9, zlib.DEFLATED, -15, zdict=_WORDS)
    body = base64.urlsafe_b64encode(deflate.compress(plain) + deflate.flush()).decode().rstrip("=")
    return f"pincel{number}.{body}.{hashlib.sha256(body.encode()).hexdigest()[:8]}"


def test_codes_that_were_cut_changed_or_made_up_are_refused():
    code = encode_styles([Style(name="Ink", prompt="ink")])
    other = code[:12] + ("a" if code[12] != "a" else "b") + code[13:]
    miscounted = code[:-1] + ("0" if code[-1] != "0" else "1")
    wrong = [miscounted, code[:-1], code[:-12], code.replace(".", "", 1), other, "",
             "pincel1.AAAA.00000000", forged(b"not json"), forged(b"5"), forged(b"[]"), forged(b"[" * 100_000),
             forged(b'[["a","b"]]' + b" " * 300_000), forged(json.dumps([["a"]] * 21).encode())]  # fmt: skip
    for text in wrong:
        with pytest.raises(UserFacingError) as refused:
            decode_styles(text)
        assert refused.value.key == "style_code_unreadable", text[:60]
    with pytest.raises(UserFacingError, match="style_code_newer"):
        decode_styles(forged(b'[["a","b"]]', 2))


def test_a_code_whose_line_was_broken_is_still_found():
    code = encode_styles([Style(name="Ink", prompt="ink on paper, many words that make the code a little longer")])
    assert find_code(code[:30] + "\n" + code[30:]) == code
    assert find_code("nothing here") is None


def test_rows_of_a_code_are_held_to_the_same_rules():
    read = decode_styles(forged(json.dumps([["@here", "a"], [], 5, ["Good", "b", "", {"steps": 9}, "more"]]).encode()))
    assert [style.name for style in read.styles] == ["Good"]
    assert len(read.refused) == 2
