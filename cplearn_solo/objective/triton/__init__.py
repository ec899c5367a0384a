"""The objective on GPUs, where the work on a tile is a Triton kernel or two."""
