"""Gradients of slow references."""

import numpy as np


def finite_differences(function, x, step=1e-6):
    """Gradient of a scalar function of an array at ``x``, by central differences."""
    gradient = np.zeros_like(x)
    for index in np.ndindex(*x.shape):
        moved = [x.copy(), x.copy()]
        moved[0][index] += step
        moved[1][index] -= step
        gradient[index] = (function(moved[0]) - function(moved[1])) / (2 * step)
    return gradient
