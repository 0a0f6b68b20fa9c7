import pytest

from bot.i18n import texts_for
from bot.studio.spans import span


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "1 second"), (2.6, "3 seconds"), (89, "89 seconds"), (90, "2 minutes"), (241, "5 minutes")],
)
def test_a_span_is_said_as_finely_as_it_is_long(seconds, said):
    assert span(seconds, texts_for("en-US")) == said
