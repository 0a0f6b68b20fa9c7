"""What makes a control model's map of a picture, by A1111's names (behaviours §17.2)."""
