"""Running products and the people who use them.

Loading torch takes the worker a good part of a minute on two busy cores, so what can share a running product does
(`product`, one per test process); tests that kill or starve it start their own.
"""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.e2e.local_discord import LocalDiscord
from tests.e2e.product import Product


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("slow")


@pytest.fixture(scope="session")
def product(tmp_path_factory):
    """One running product for every test that leaves it as it found it."""
    found = Product(tmp_path_factory.mktemp("product")).start()
    yield found
    found.stop()


@pytest.fixture
async def member(product):
    async with product.person("Member") as visitor:
        yield visitor


@pytest.fixture
async def moderator(product):
    async with product.person("Moderator") as visitor:
        yield visitor


@pytest.fixture
async def admin(product):
    """Owns the server, and uses Discord in Spanish."""
    async with product.person("Admin") as visitor:
        yield visitor


@pytest.fixture
def own_product(tmp_path):
    """Makes products of one test's own, stopped at its end: `own_product(PINCEL_MAX_SIDE="512")`."""
    made = []

    def make(endpoints=None, folder="own", **settings):
        made.append(Product(tmp_path / folder, settings, endpoints))
        return made[-1]

    yield make
    for each in made:
        each.stop()


@pytest.fixture
def local_discord(tmp_path):
    found = LocalDiscord(tmp_path / "discord")
    yield found
    found.stop()
