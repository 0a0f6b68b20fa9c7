"""A job whose pictures have texts of their own draws what as many jobs of one picture would."""

import pytest
from drawing import Recorder, draw, pixels, spec

from gpu_worker.engine.errors import DrawingCancelled
from gpu_worker.language.infotext import parse_infotext
from gpu_worker.language.pictures import picture_spec
from gpu_worker.protocol.specs import Template, Texts

pytestmark = pytest.mark.slow

RED, BLUE = "a red circle on a white background", "a blue circle on a white background"
TEMPLATE = Template(prompt="a {red|blue} circle on a white background", negative_prompt="{blurry, }dark")
OF_TWO = {"count": 2, "prompt": RED, "texts": (Texts(prompt=RED, negative_prompt="dark"), Texts(prompt=BLUE))}


def test_each_picture_is_that_of_its_own_text_and_seed(engine):
    both = draw(engine, **OF_TWO, seed=5, template=TEMPLATE)
    alone = [*draw(engine, prompt=RED, negative_prompt="dark", seed=5), *draw(engine, prompt=BLUE, seed=6)]
    assert [drawn.seed for drawn in both] == [5, 6]
    assert all((pixels(a) == pixels(b)).mean() > 0.999 for a, b in zip(both, alone, strict=True))
    texts = [parse_infotext(drawn.infotext) for drawn in both]
    assert [text.prompt for text in texts] == [RED, BLUE]
    assert [text.negative_prompt for text in texts] == ["dark", ""]
    assert {text.fields["Template"] for text in texts} == {TEMPLATE.prompt}
    assert texts[0].fields["Negative Template"] == TEMPLATE.negative_prompt


def test_one_at_a_time_gives_the_same(engine):
    together, apart = draw(engine, **OF_TWO, seed=5), draw(engine, **OF_TWO, seed=5, batch_size=1)
    assert all((pixels(a) == pixels(b)).mean() > 0.999 for a, b in zip(together, apart, strict=True))


def test_variations_of_one_picture_keep_its_text(engine):
    varied = picture_spec(spec(**OF_TWO, seed=5), 1)
    assert (varied.prompt, varied.negative_prompt, varied.seed, varied.texts) == (BLUE, "", 6, ())


def test_progress_runs_once_over_all_pictures(engine):
    hooks = Recorder()
    draw(engine, hooks, **OF_TWO)
    steps = [(step, of) for phase, step, of in hooks.calls if phase == "sampling"]
    assert steps[-1] == (8, 8)
    assert steps == sorted(steps)


def test_a_cancelled_job_is_cancelled_in_all_its_pictures(engine):
    with pytest.raises(DrawingCancelled):
        draw(engine, Recorder(cancel_at=4), **OF_TWO)


def test_a_text_for_each_picture_or_none():
    with pytest.raises(ValueError, match="2 texts for 3 pictures"):
        spec(**OF_TWO | {"count": 3})
