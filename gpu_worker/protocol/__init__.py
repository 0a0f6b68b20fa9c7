"""The contract between bot and worker. Both processes import it; it needs pydantic and msgpack only."""
