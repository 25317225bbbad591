"""Data of a size that nobody knows end without a trace."""

import numpy as np
import pytest
from helpers import make_gan, numpy


@pytest.mark.filterwarnings("ignore:Your input ran out")
def test_a_generator_gives_what_its_array_gives(data):
    """Seeds and counters too, which need no data to go on."""

    def batches():
        for start in range(0, len(data), 16):
            yield (data[start : start + 16],)

    one, other = make_gan(ema=0.5), make_gan(ema=0.5)
    other.set_weights(one.get_weights())
    for _ in range(2):
        one.fit(data, batch_size=16, shuffle=False, verbose=0)
        other.fit(batches(), verbose=0)
    variables = [[*m.variables, *m.optimizer.variables] for m in (one, other)]
    for a, b in zip(*variables, strict=True):
        np.testing.assert_array_equal(numpy(a), numpy(b), err_msg=a.path)
