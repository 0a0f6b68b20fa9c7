"""Whose limit counts, what it allows, and when what is spent comes back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.safety.limits import DAY_S, PLAIN, Exceeded, Limit, Spent, Wanted, effective, exceeded

NEW, VIP = 11, 12
TABLE = {
    PLAIN: {Limit.PICTURES: 50, Limit.COOLDOWN_S: 10, Limit.STEPS: 30},
    NEW: {Limit.PICTURES: 5, Limit.COOLDOWN_S: 60},
    VIP: {Limit.PICTURES: 200, Limit.COOLDOWN_S: 2},
}
NOW = 1_000_000.0


@pytest.mark.parametrize(
    ("roles", "pictures", "cooldown"),
    [((), 50, 10), ((NEW,), 5, 60), ((VIP,), 200, 2), ((NEW, VIP), 200, 2), ((99,), 50, 10), ((PLAIN,), 50, 10)],
)
def test_the_most_generous_role_counts_before_everybody(roles, pictures, cooldown):
    found = effective(TABLE, roles)
    assert (found[Limit.PICTURES], found[Limit.COOLDOWN_S], found[Limit.STEPS]) == (pictures, cooldown, 30)


@given(
    st.dictionaries(st.integers(0, 4), st.dictionaries(st.sampled_from(Limit), st.integers(0, 99))),
    st.sets(st.integers(1, 4)),
    st.integers(1, 4),
)
def test_no_further_role_with_a_say_ever_takes_something_away(table, roles, more):
    before, after = effective(table, roles), effective(table, roles | {more})
    for limit, value in before.items():
        if any(limit in table.get(role, {}) for role in roles):
            assert after[limit] <= value if limit is Limit.COOLDOWN_S else after[limit] >= value


def spent(*uses, waiting=0):
    return Spent(tuple((NOW - age, pictures, seconds) for age, pictures, seconds in uses), waiting)


WANTED = Wanted(pictures=2, gpu_s=5.0, side_px=512, steps=20)


@pytest.mark.parametrize(
    ("limits", "used", "found"),
    [
        ({}, spent((1, 99, 99.0)), None),
        ({Limit.COUNT: 1}, spent(), Exceeded(Limit.COUNT, 1)),
        ({Limit.STEPS: 19}, spent(), Exceeded(Limit.STEPS, 19)),
        ({Limit.SIDE_PX: 511}, spent(), Exceeded(Limit.SIDE_PX, 511)),
        ({Limit.COUNT: 2, Limit.STEPS: 20, Limit.SIDE_PX: 512}, spent(), None),
        ({Limit.JOBS: 1}, spent(waiting=1), Exceeded(Limit.JOBS, 1)),
        ({Limit.JOBS: 2}, spent(waiting=1), None),
        ({Limit.PICTURES: 4}, spent((100, 2, 0.0)), None),
        ({Limit.PICTURES: 3}, spent((100, 1, 0.0), (50, 1, 0.0)), Exceeded(Limit.PICTURES, 3, NOW - 100 + DAY_S)),
        ({Limit.PICTURES: 3}, spent((100, 1, 0.0), (50, 2, 0.0)), Exceeded(Limit.PICTURES, 3, NOW - 50 + DAY_S)),
        ({Limit.PICTURES: 1}, spent(), Exceeded(Limit.PICTURES, 1)),
        ({Limit.PICTURES: 0}, spent(), Exceeded(Limit.PICTURES, 0)),
        ({Limit.GPU_S: 60}, spent((100, 1, 59.0)), None),
        ({Limit.GPU_S: 60}, spent((100, 1, 50.0), (9, 1, 20.0)), Exceeded(Limit.GPU_S, 60, NOW - 100 + DAY_S)),
        ({Limit.GPU_S: 0}, spent(), Exceeded(Limit.GPU_S, 0)),
        ({Limit.COOLDOWN_S: 30}, spent((20, 1, 0.0)), Exceeded(Limit.COOLDOWN_S, 30, NOW + 10)),
        ({Limit.COOLDOWN_S: 30}, spent((31, 1, 0.0)), None),
    ],
)
def test_what_stands_against_a_request_and_until_when(limits, used, found):
    assert exceeded(limits, used, WANTED, NOW) == found


@given(
    st.lists(st.tuples(st.floats(1, DAY_S - 1), st.integers(0, 9), st.floats(0, 99)), max_size=9),
    st.integers(2, 30),
)
def test_when_it_says_there_is_room_there_is(uses, allowed):
    used = spent(*sorted(uses, reverse=True))
    found = exceeded({Limit.PICTURES: allowed}, used, WANTED, NOW)
    if found is not None:
        assert found.at is not None
        left = Spent(tuple(use for use in used.uses if use[0] + DAY_S > found.at))
        assert exceeded({Limit.PICTURES: allowed}, left, WANTED, found.at) is None
