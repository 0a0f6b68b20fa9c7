"""What can be drawn: generators over samplers, encodes and decodes."""
