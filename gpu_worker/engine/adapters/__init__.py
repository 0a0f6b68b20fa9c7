"""What is laid over a checkpoint's weights for one job."""
