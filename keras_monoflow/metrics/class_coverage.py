"""How many classes the generated samples reach, by a classifier."""

from typing import Any

import numpy as np

from keras_monoflow.arguments import check_integer, check_number
from keras_monoflow.metrics import features, shares
from keras_monoflow.metrics.base import as_samples, check_finite
from keras_monoflow.metrics.network_argument import NetworkArgument
from keras_monoflow.registry import METRICS
from keras_monoflow.typing import Array, ArrayLike, Config


@METRICS.register()
class ClassCoverage(NetworkArgument):
    """Number of classes that generated samples reach, by a classifier.

    A sample counts for its most probable class, if the classifier gives that
    class a probability of at least `threshold`. A class is *reached* if at
    least `minimum_samples` samples count for it.

    With a classifier of stacked digits this is the number of modes of Stacked
    MNIST (Metz et al., 2017, arXiv 1611.02163, section 3.3.1). The value is
    only as good as the classifier, which has a class for every sample, even
    for noise: look at the mean confidence in `details`, and raise `threshold`.

    Args:
        classifier: A `keras.Model`, `keras.Layer` or callable that maps a batch
            of samples to probabilities of shape `(b, classes)`, or to logits; a
            callable is given NumPy arrays.
        classes: Integer, the number of classes that the classifier must have;
            `None` takes any number. Defaults to `None`.
        threshold: Number from 0 to 1, the least probability. Defaults to `0.0`.
        minimum_samples: Integer, how many samples it takes to reach a class.
            Defaults to `1`.
        from_logits: Whether the classifier gives logits. Defaults to `False`.
        batch_size: Integer, the samples that the classifier gets at a time.
            Defaults to `256`.
        name: String. Defaults to `"class_coverage"`.

    Returns:
        When called, the number of reached classes as a float, from 0 to the
        number of classes. The real samples are not looked at and may be `None`.

    Raises:
        ValueError: If an argument is out of its range; when called, if the
            classifier gives no probabilities, or another number of classes.

    Example:

    ```python
    import numpy as np
    import keras_monoflow as kmf

    def classifier(x):  # two classes: left and right of 0
        right = 1.0 / (1.0 + np.exp(-x[:, 0]))
        return np.stack([1.0 - right, right], axis=1)

    coverage = kmf.metrics.ClassCoverage(classifier)
    generated = np.array([[3.0, 0.0], [5.0, 1.0]])
    print(coverage(None, generated))  # 1.0
    print(coverage.details(None, generated)["shares"])  # [0.0, 1.0]
    ```
    """

    default_name = "class_coverage"
    direction = "max"
    needs_real = False
    network_role = "classifier"

    def __init__(
        self,
        classifier: features.Extractor,
        classes: int | None = None,
        threshold: float = 0.0,
        minimum_samples: int = 1,
        from_logits: bool = False,
        batch_size: int = 256,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self._check_callable(classifier)
        self.classifier = classifier
        self.classes = classes
        if classes is not None:
            self.classes = check_integer("classes", classes, minimum=1)
        self.threshold = check_number(
            "threshold", threshold, minimum=0, maximum=1
        )
        self.minimum_samples = check_integer(
            "minimum_samples", minimum_samples, minimum=1
        )
        self.from_logits = bool(from_logits)
        self.batch_size = check_integer("batch_size", batch_size, minimum=1)

    def settings(self) -> Config:
        return {
            "classes": self.classes,
            "threshold": self.threshold,
            "minimum_samples": self.minimum_samples,
            "from_logits": self.from_logits,
            "batch_size": self.batch_size,
        }

    def prepare(
        self, real: ArrayLike | None, generated: ArrayLike
    ) -> tuple[None, Array]:
        """Lets the classifier judge the generated samples.

        Args:
            real: Not used, may be `None`.
            generated: Array or tensor of shape `(m, ...)`.

        Returns:
            `None`, and a float64 array of probabilities, `(m, classes)`.
        """
        generated = as_samples("generated", generated)
        check_finite("generated", generated)
        self._check_weights()
        batches = [
            self._probabilities(generated[start : start + self.batch_size])
            for start in range(0, len(generated), self.batch_size)
        ]
        return None, np.concatenate(batches)

    def _probabilities(self, batch: Array) -> Array:
        rows = features.apply_checked("classifier", self.classifier, batch)
        rows = rows.astype("float64")
        if self.classes not in (None, rows.shape[1]):
            raise ValueError(
                f"`classifier` must have classes={self.classes} outputs. "
                f"Received: {rows.shape[1]} outputs."
            )
        if self.from_logits:
            rows = np.exp(rows - rows.max(axis=1, keepdims=True))
            return rows / rows.sum(axis=1, keepdims=True)
        # Half precision leaves sums of many probabilities off by a percent.
        if rows.min() < 0 or np.abs(rows.sum(axis=1) - 1).max() > 0.02:
            raise ValueError(
                "`classifier` must give probabilities, of at least 0 and with "
                f"a sum of 1. Received: values from {rows.min():.3g}, sums "
                f"from {rows.sum(axis=1).min():.3g} to "
                f"{rows.sum(axis=1).max():.3g}. Pass `from_logits=True` if "
                "these are logits."
            )
        return rows

    def compute(self, real: None, generated: Array) -> float:
        return float(self._details(generated)["classes"])

    def details(
        self, real: ArrayLike | None, generated: ArrayLike
    ) -> dict[str, Any]:
        """Returns how the generated samples are spread over the classes.

        Args:
            real: Not used, may be `None`.
            generated: Array or tensor of shape `(m, ...)`.

        Returns:
            A dictionary of floats, and one list of them: `classes`, the number
            of reached classes; `coverage`, their share; `shares`, the share of
            all samples that count for each class, in a list; `balance`, the
            entropy of the shares over that of equal shares, from 0 for one
            class to 1; `kl`, the Kullback-Leibler divergence of the shares
            from equal ones in nats, which tables of Stacked MNIST print (Lin
            et al. 2018, arXiv 1712.04086), infinite if no sample counts;
            `confidence`, the mean of the highest probabilities.
        """
        return self._details(self.prepare(real, generated)[1])

    def _details(self, probabilities: Array) -> dict[str, Any]:
        confidence = probabilities.max(axis=1)
        classes = probabilities.shape[1]
        chosen = probabilities.argmax(axis=1)[confidence >= self.threshold]
        counts = np.bincount(chosen, minlength=classes)
        reached = float(np.sum(counts >= self.minimum_samples))
        return {
            "classes": reached,
            "coverage": reached / classes,
            "shares": (counts / len(probabilities)).tolist(),
            "balance": shares.balance(counts),
            "kl": shares.divergence(counts),
            "confidence": float(confidence.mean()),
        }
