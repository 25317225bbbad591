"""Samples that are chosen among many, or lie between others."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_monoflow.arguments import check_integer, check_number
from keras_monoflow.models import label_checks, rejection
from keras_monoflow.models.data_checks import check_has_rows
from keras_monoflow.models.latent_paths import latent_paths
from keras_monoflow.typing import Array, ArrayLike


class ChosenSamples(keras.Model):
    """The part of a `GeneratorModel` that samples in other ways.

    It reads `sample`, `log_ratio`, `prior`, `latent_shape`, `parts` and
    `packs`.
    """

    #: What `calibrate` has found.
    calibration: rejection.Calibration | None = None

    sample: Any
    log_ratio: Any

    def calibrate(
        self,
        x: ArrayLike,
        labels: ArrayLike | None = None,
        seed: int = 0,
        averaged: bool = True,
        quantile: float = 1.0,
    ) -> rejection.Calibration:
        """Learns from held-out samples how far `log_ratio` can be trusted, for
        `sample(n, accept="rejection")`.

        A logistic regression on the estimates at held-out and at as many
        generated samples; their largest calibrated ratio becomes the bound, at
        which a sample is always accepted. It is kept until it is done again,
        and not saved in files.

        Args:
            x: Array `(n, *sample_shape)` of data that were not trained on, some
                thousands.
            labels: Their labels, for a conditional model.
            seed: Integer seed of the generated samples.
            averaged: Whether these come from the averaged generator, if there
                is one.
            quantile: With less than 1, this quantile of the calibrated ratios
                of generated samples is the bound in the place of the largest:
                more samples are accepted, and those above are no longer told
                apart.

        Returns:
            The `slope` and `offset` of the regression, the `bound`, and the
            `acceptance`, the share of generated samples that will be accepted;
            a slope of 1 and an offset of 0 are those of a perfect
            discriminator.

        Raises:
            ValueError: If the flow estimates no density ratio of single
                samples, a number is out of range, or the shapes do not fit.

        Source: Turner et al. 2019, arXiv 1811.11357, section 3.2; Azadi et al.
        2019, arXiv 1810.06758, section 3.2, for a lower bound.
        """
        self._check_compiled("calibrate")
        if self.packs.size > 1:
            raise ValueError(
                "`calibrate` needs the ratio of single samples, but with "
                f"`pack={self.packs.size}` the discriminator sees groups alone."
            )
        quantile = check_number("quantile", quantile, above=0, maximum=1)
        check_has_rows(x)
        real_ratio = self.log_ratio(x, labels)
        known = {} if labels is None else {"labels": labels}
        n = len(real_ratio)
        generated = self.sample(n, seed=seed, averaged=averaged, **known)
        fake_ratio = self.log_ratio(generated, labels)
        self.calibration = rejection.calibrate(real_ratio, fake_ratio, quantile)
        return self.calibration

    def _accepted(self, n, seed, batch_size, labels, averaged):
        """Returns rows of `n` samples that were accepted."""
        if self.calibration is None:
            raise ValueError(
                "Call `calibrate(x)` with held-out samples before "
                "`sample(accept='rejection')`: it learns how far the ratio of "
                "the discriminator can be trusted."
            )

        def draw(places, seed):
            of_places = None if labels is None else labels[places]
            inputs = self.inputs_of_samples(len(places), seed, of_places)
            rows = self._generate(
                inputs, len(places), batch_size, seed, averaged
            )
            ratio = self.log_ratio(self.parts.split(rows), of_places)
            return rows, ratio

        rows, drawn = rejection.accept(
            draw, self.calibration, n, batch_size, seed
        )
        print(f"Accepted {n} of {drawn} samples ({n / drawn:.1%}).")
        return rows

    def interpolate(
        self,
        start: ArrayLike,
        end: ArrayLike,
        steps: int = 8,
        labels: ArrayLike | None = None,
        batch_size: int = 256,
        averaged: bool = True,
    ) -> Array:
        """Returns the samples between pairs of latent points.

        With a normal prior along great circles, `[sin((1 - t) w) a +
        sin(t w) b] / sin w` with the angle `w` between `a` and `b`, since the
        middle of a straight line is nearer the origin than most points of the
        prior; else along straight lines.

        Args:
            start: Latent points `(n, *latent_shape)`, such as those of
                `sample_latent`.
            end: As many others.
            steps: How many samples a path has, both ends included.
            labels: For a conditional model, a label for each path, or one.
            batch_size: How many to generate at once.
            averaged: Whether to use the averaged generator, if there is one.

        Returns:
            A NumPy array `(n, steps, *sample_shape)`, or a dictionary or list
            of them.

        Raises:
            ValueError: If the points have other shapes, or there are none.
        """
        if not self.prior.draws:
            raise ValueError(
                "`interpolate` goes from latent point to latent point, and "
                "with `prior=None` there are none."
            )
        check_integer("steps", steps, minimum=2)
        check_integer("batch_size", batch_size, minimum=1)
        ends = [np.asarray(ops.convert_to_numpy(p)) for p in (start, end)]
        shapes = [p.shape for p in ends]
        if shapes[0] != shapes[1] or shapes[0][1:] != tuple(self.latent_shape):
            raise ValueError(
                "`start` and `end` must both have the shape (n, "
                f"{', '.join(map(str, self.latent_shape))}). Received: "
                f"{shapes[0]} and {shapes[1]}."
            )
        paths = latent_paths(ends[0], ends[1], steps, self.prior.is_normal)
        n = len(paths)
        label_checks.check_labels(labels, self.conditional, type(self).__name__)
        labels = self._check_own_labels(labels, n)
        if labels is not None:
            labels = np.repeat(labels, steps, axis=0)
        latent = paths.reshape(n * steps, *self.latent_shape)
        inputs = self.generator_inputs(latent, labels)
        rows = self._generate(inputs, n * steps, batch_size, 0, averaged)
        return keras.tree.map_structure(
            lambda x: x.reshape(n, steps, *x.shape[1:]), self.parts.split(rows)
        )
