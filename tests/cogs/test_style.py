"""What /style list and /style show write fits a message, however many and long the styles are."""

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.styles import Style, StyleParameters
from bot.i18n import LANGUAGES, texts_for
from cogs.style import described, listed

NAMES = st.text(alphabet="*_~ab 🍎", min_size=1, max_size=60)
STYLES = st.builds(
    Style,
    name=NAMES,
    prompt=st.text(alphabet="*[]@<a\n", max_size=6000),
    negative_prompt=st.text(max_size=6000),
    parameters=st.builds(StyleParameters, checkpoint=st.none() | st.text(max_size=200), steps=st.none() | st.just(9)),
)


def test_one_and_few_are_listed_whole():
    texts = texts_for("en")
    assert listed([Style(name="Ink", prompt="ink")], texts) == "### Your style\n**Ink** · ink"
    assert listed([Style(name=f"S{n}", prompt="x") for n in range(9)], texts).count("\n") == 9


def test_many_are_cut_at_a_line_and_counted():
    styles = [Style(name=f"style number {n:03}", prompt="word " * 50) for n in range(100)]
    text = listed(styles, texts_for("en"))
    lines = text.splitlines()
    assert len(text) <= 4000
    shown = len(lines) - 2
    assert f"and {100 - shown} more" in lines[-1]
    assert all(line.startswith("**style number") for line in lines[1:-1])


@settings(deadline=None, max_examples=50)
@given(st.lists(STYLES, min_size=1, max_size=100))
def test_any_styles_fit(styles):
    for language in LANGUAGES:
        assert len(listed(styles, texts_for(language))) <= 4000


@settings(deadline=None)
@given(STYLES)
def test_any_style_can_be_shown(style):
    for language in LANGUAGES:
        text = described(style, texts_for(language))
        assert 1 <= len(text) <= 4000
        assert "@everyone" not in text


def test_only_what_was_set_is_shown():
    parameters = StyleParameters(steps=9, cfg_scale=5.5, seed=4231489852)
    text = described(Style(name="Ink", prompt="ink", parameters=parameters), texts_for("en"))
    assert text.splitlines()[-1] == "-# steps 9 · cfg scale 5.5 · seed 4231489852"
