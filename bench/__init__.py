"""The project's figures, measured on this machine in one run: `python3 launch.py bench`.

Nothing here asserts a time: machines differ, and a figure that misses its goal is something to look into, not a red
test. What can be compared is put side by side, interleaved, and given as a ratio.
"""
