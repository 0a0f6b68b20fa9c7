"""From prompt text to the vectors that the UNet attends to."""
