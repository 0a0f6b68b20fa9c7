"""Ultimate SD upscale: a picture enlarged, then drawn again tile by tile (behaviours §16)."""
