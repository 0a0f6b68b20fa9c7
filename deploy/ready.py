#!/usr/bin/env python3
"""Exit code 0 where the bot of this machine, or of this container, says that it is ready, else 1 with its reasons.

Asks /readyz at PINCEL_METRICS. Standard library only, for it starts every half a minute.
"""

import json
import os
import sys
import urllib.error
import urllib.request

LIMIT_S = 10
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - asked there, not bound


def main() -> int:
    host, _, port = os.environ.get("PINCEL_METRICS", "").strip().rpartition(":")
    if not host or not port:
        sys.stderr.write("PINCEL_METRICS is not set, so nobody can be asked.\n")
        return 1
    url = f"http://{EVERYWHERE.get(host, host)}:{port}/readyz"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never by way of a proxy
    try:
        with opener.open(url, timeout=LIMIT_S) as answer:
            said = json.load(answer)
    except urllib.error.HTTPError as error:
        try:
            said = json.load(error)
        except ValueError:
            said = {}
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{url} does not answer: {error}\n")
        return 1
    checks = said.get("checks", {}) if isinstance(said, dict) else {}
    wrong = {name: check.get("reason") for name, check in checks.items() if not check.get("ok")}
    sys.stdout.write(", ".join(f"{name}: {reason}" for name, reason in wrong.items()) or "ready" if checks else "?")
    return 0 if checks and not wrong else 1


if __name__ == "__main__":
    sys.exit(main())
