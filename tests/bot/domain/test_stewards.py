"""Who may touch what, and how much room is left."""

from dataclasses import dataclass

import pytest

from bot.domain.model_rules import EVERYWHERE
from bot.domain.stewards import GB, Steward, space_of


@dataclass(frozen=True)
class File:
    added_in: int | None = None
    size_bytes: int = GB
    read_only: bool = False


@pytest.mark.parametrize(
    ("steward", "added_in", "may"),
    [
        (Steward(1, 10, operator=False), 10, True),
        (Steward(1, 10, operator=False), 20, False),
        (Steward(1, 10, operator=False), None, False),
        (Steward(1, None, operator=False), None, False),
        (Steward(1, 10, operator=True), 20, True),
        (Steward(1, None, operator=True), None, True),
        (Steward(1, None, operator=True), 10, True),
    ],
)
def test_a_servers_admins_touch_only_what_their_server_added(steward, added_in, may):
    assert steward.may_touch(File(added_in)) is may


def test_whose_files_and_whose_word():
    assert (Steward(1, 10, operator=False).owner, Steward(1, 10, operator=False).place) == (10, 10)
    assert (Steward(1, 10, operator=True).owner, Steward(1, 10, operator=True).place) == (None, 10)
    assert (Steward(1, None, operator=True).owner, Steward(1, None, operator=True).place) == (None, EVERYWHERE)


FILES = [File(10), File(10, 2 * GB), File(20, 4 * GB), File(None, 8 * GB), File(None, 100 * GB, read_only=True)]


def space(owner, coming=(), quota_gb=50, budget_gb=None):
    return space_of(owner, FILES, coming, quota_gb=quota_gb, budget_gb=budget_gb)


def test_only_files_of_ones_own_count_for_the_quota_and_all_of_ours_for_the_budget():
    found = space(10)
    assert (found.own, found.all, found.quota_left) == (3 * GB, 15 * GB, 47 * GB)
    assert space(None).quota_left is None
    assert (space(30).own, space(20).own, space(None).own) == (0, 4 * GB, 8 * GB)


def test_what_is_coming_counts_already():
    found = space(10, [(10, 5 * GB), (20, GB), (None, GB)], quota_gb=8)
    assert (found.own, found.all, found.quota_left, found.over_quota) == (8 * GB, 22 * GB, 0, True)


@pytest.mark.parametrize(
    ("budget_gb", "near", "over"), [(None, False, False), (20, False, False), (16, True, False), (15, True, True)]
)
def test_the_budget_warns_before_it_is_reached(budget_gb, near, over):
    found = space(10, budget_gb=budget_gb)
    assert (found.budget_near, found.over_budget) == (near, over)


def test_a_quota_of_zero_leaves_adding_to_the_operator():
    assert space(30, quota_gb=0).over_quota
    assert not space(None, quota_gb=0).over_quota
