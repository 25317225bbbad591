"""Whether two trainings ended in the same state."""

import numpy as np
from helpers import everything


def assert_same(one, other, configuration, exactly=False):
    # Compilers fuse operations; bfloat16 rounds at 1 in 256.
    tolerance = 3e-2 if "float16" in configuration.policy else 1e-3
    for a, b in zip(everything(one), everything(other), strict=True):
        if exactly:
            np.testing.assert_array_equal(a, b)
        else:
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
