"""The objective on GPUs, with one or two Triton kernels for the work on a tile."""
