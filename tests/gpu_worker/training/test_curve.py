"""The loss of a run in few points."""

import pytest

from gpu_worker.protocol.messages import CURVE_POINTS_MAX
from gpu_worker.training.curve import LossCurve


@pytest.mark.parametrize("steps", [0, 1, 119, 120, 121, 5000])
def test_it_is_the_whole_run_in_few_points_and_goes_on_after_a_break(steps):
    losses = [1.0 / (1 + step) for step in range(steps)]
    whole, broken = LossCurve(), LossCurve()
    for step, loss in enumerate(losses):
        whole.add(loss)
        broken.add(loss)
        if step % 7 == 0:
            broken = LossCurve(broken.state())
        assert len(whole.points) <= CURVE_POINTS_MAX
    assert broken.points == whole.points
    assert len(whole.points) >= min(steps, CURVE_POINTS_MAX // 2)
    stride = whole.state()["stride"]
    wanted = [losses[at : at + stride] for at in range(0, steps, stride)]
    assert whole.points == pytest.approx([sum(few) / len(few) for few in wanted])
