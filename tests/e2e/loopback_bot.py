"""The real bot, whose downloads may go to servers that a test runs on this machine."""

import sys
from functools import partial

from bot import __main__ as composition
from bot.downloads.web import WebRules


class Anywhere:
    def allows(self, address):
        return True


if __name__ == "__main__":
    rules = WebRules(addresses=Anywhere(), allow_http=True)
    composition.StudioParts = partial(composition.StudioParts, web=rules)
    sys.exit(composition.main())
