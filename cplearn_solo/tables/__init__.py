"""The papers' tables: their printed numbers as data, grids of runs that repeat them, and both side by side."""
