#!/bin/sh
# Starts Pincel with the newest Python that is there and new enough; options go to launch.py.
here=$(cd "$(dirname "$0")/.." && pwd) || exit 1
for python in python3.14 python3.13 python3.12 python3.11 python3; do
    if command -v "$python" >/dev/null 2>&1; then
        exec "$python" "$here/launch.py" "$@"
    fi
done
echo "Python is missing. Install Python 3.11 or newer, for example with: sudo apt install python3 python3-venv" >&2
exit 1
