"""The papers' tables: what they print as data, the grid of runs that repeats them, and both side by side."""
