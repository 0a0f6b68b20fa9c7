"""LoRAs that people train: the desk, the card of a training, its samples."""
