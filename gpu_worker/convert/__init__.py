"""Model files made from model files: converted, merged, LoRAs baked in. One tensor at a time, so memory stays small."""
