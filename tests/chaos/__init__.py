"""A real broker, real workers and a real dispatcher on a real database, treated as badly as a seed's plan says.

`python -m tests.chaos --runs 200 --seed 1` runs that many plans and says whether anything was lost, doubled or told
wrongly; `docs/scaling.md` says what it found.
"""
