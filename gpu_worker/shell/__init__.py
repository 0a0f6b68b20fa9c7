"""`launch.py imagine`: the engine without a bot. Parser, request, pictures and sentences, one file each."""
