"""`python3 launch.py models …`: the model files, looked at and fetched without a bot."""
