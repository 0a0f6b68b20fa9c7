"""The parts of bot/studio/studio.py that have no package of their own, put together by topic."""
