"""`python3 launch.py backup` and `restore`: the database's copies, from the shell."""
