"""What bot and worker must read the same way: prompts, networks, infotext, names, model headers. Pure Python."""
