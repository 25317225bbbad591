"""Mean and covariance of rows that come in blocks."""

import numpy as np

from keras_monoflow.typing import Array


class Moments:
    """Running mean and centered second moment, in float64.

    With `n` rows seen, of mean `m` and moment `M = sum (x - m)(x - m)^T`, a
    block of `b` rows with mean `m_b` and moment `M_b` gives

        M  <-  M + M_b + n b / (n + b) (m_b - m)(m_b - m)^T
        m  <-  m + b / (n + b) (m_b - m)

    (Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for
    computing sample variances", 1979). Nothing cancels, however far from 0
    the rows lie. Memory: two `d x d` matrices and a block.

    Attributes:
        count: Integer, the rows seen.
        mean: Array of shape `(d,)`.
    """

    def __init__(self) -> None:
        self.count, self.mean = 0, None

    @property
    def width(self):
        return len(self.mean)

    def update(self, rows: Array) -> None:
        """Take in a float64 array of shape `(b, d)`."""
        if self.mean is None:
            self.mean = np.zeros(rows.shape[1])
            self._moment = np.zeros((rows.shape[1],) * 2)
            self._product = np.empty_like(self._moment)
        block = len(rows)
        together = self.count + block
        block_mean = rows.mean(axis=0)
        shift = block_mean - self.mean
        weight = np.sqrt(self.count * block / together)
        # The term of the means is one more row of the product.
        rows = np.concatenate([rows - block_mean, weight * shift[None]])
        np.matmul(rows.T, rows, out=self._product)
        self._moment += self._product
        self.mean += block / together * shift
        self.count = together

    def finish(self):
        """Free the working memory; `covariance` may then be read.

        Returns:
            The object itself. Its `covariance` is the array of shape `(d, d)`
            with the normalization `1 / (count - 1)`.
        """
        self._moment /= self.count - 1
        self.covariance = self._moment
        del self._moment, self._product
        return self
