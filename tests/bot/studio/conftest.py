import pytest

from bot.storage.database import open_database
from tests.bot.studio.admin_rig import Rig


@pytest.fixture
async def rig(tmp_path):
    database = await open_database(tmp_path / "pincel.sqlite")
    yield Rig(tmp_path, database)
    await database.close()
