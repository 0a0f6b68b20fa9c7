"""`launch.py train`: training without a bot. Options, folders, base, plan, progress, samples: a file each."""
