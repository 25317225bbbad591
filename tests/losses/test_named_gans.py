import numpy as np
import pytest
from helpers import numpy
from numpy.testing import assert_allclose

from keras_monoflow.losses import MonoFlowLoss, named_gan


def softplus(x):
    return np.logaddexp(0, x)


def bce(r, f):
    return softplus(-r).mean() + softplus(f).mean()


# Pearson's f(r) = (r - 1)^2 / 2, with r = exp(d): its conjugate at f'(r) is
# r f' - f = (r^2 - 1) / 2.
def pearson(r, f):
    return ((np.exp(2 * f) - 1) / 2).mean() - (np.exp(r) - 1).mean()


def b_gan(r, f):
    return (f**2).mean() / 2 - r.mean()


# (name, alpha): generator loss and discriminator loss, as the papers have them.
ROWS = {
    ("vanilla", 1): (lambda f: -softplus(f).mean(), bce),
    ("non_saturated", 1): (lambda f: softplus(-f).mean(), bce),
    ("f_gan", 2): (lambda f: -(np.exp(2 * f) - 1).mean() / 2, pearson),
    ("f_gan_trick", 2): (lambda f: -(np.exp(f) - 1).mean(), pearson),
    ("b_gan", 2): (lambda f: -(f**2 - 1).mean() / 2, b_gan),
    ("b_gan", 0): (lambda f: -np.log(f).mean(), b_gan),
    ("lsgan", 1): (
        lambda f: ((f - 1) ** 2).mean(),
        lambda r, f: ((r - 1) ** 2).mean() / 2 + (f**2).mean() / 2,
    ),
    # The constant 1 does not move anything; the energy is -d.
    ("gebm", 1): (
        lambda f: -np.exp(f).mean() + 1,
        lambda r, f: np.exp(f).mean() - 1 - r.mean(),
    ),
}


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_rows_of_table_1(row, rng):
    (name, alpha), (generator, discriminator) = row, ROWS[row]
    real = rng.normal(size=5).astype("float32")
    fake = rng.uniform(0.1, 3, size=6).astype("float32")
    mapping, loss = named_gan(name.replace("_", "-"), alpha=alpha)
    value = MonoFlowLoss(mapping, loss)(None, fake)
    assert_allclose(float(value), generator(fake), rtol=1e-5, atol=1e-6)
    assert_allclose(
        float(loss(real, fake)), discriminator(real, fake), rtol=1e-5
    )


def test_trick_has_the_slope_r_f_second():
    # KL(p || q): f = r log r, so f'(r) = u + 1, of slope 1 in u.
    mapping, _ = named_gan("f_gan_trick")
    assert_allclose(numpy(mapping.derivative([-3.0, 0.0, 3.0])), 1.0)


def test_unknown_name():
    with pytest.raises(ValueError, match="Did you mean 'lsgan'"):
        named_gan("lsgans")
