"""The real bot with a token, pointed at a playground that the test runs instead of at discord.com."""

import json
import os
import sys

from bot.__main__ import main
from bot.playground.redirect import Endpoints, point_discord_at

if __name__ == "__main__":
    point_discord_at(Endpoints(**json.loads(os.environ["E2E_ENDPOINTS"])))
    sys.exit(main())
