"""The base of all velocities from samples."""

from typing import Any

from keras import ops

from keras_monoflow.arguments import check_number
from keras_monoflow.typing import Config, Logs, Seed, Tensor
from keras_monoflow.velocities.guidance import (
    check_guidance,
    draw_guidance,
)
from keras_monoflow.velocities.pairs import Pairs
from keras_monoflow.velocities.rows import (
    as_labels,
    as_rows,
    check_classes,
    check_several,
    check_sizes,
)


class Velocity:
    """Moves generated rows, given rows of the data and of the generator.

    No discriminator: real rows attract, rows of a second generated batch
    repel, and nothing moves where the two are distributed alike.

    A subclass defines `flow`. Rows are flattened and computed in at least
    float32, and no gradient is taken through a velocity.

    Example: everything moves towards the mean of the data.

    ```python
    from keras import ops
    import numpy as np
    import keras_monoflow as kmf

    class Drift(kmf.velocities.Velocity):
        def flow(self, pairs, seed):
            gap = ops.mean(pairs.x, 0) - ops.mean(pairs.z, 0)
            return gap + ops.zeros_like(pairs.y), {}

    rng = np.random.default_rng(0)
    generated, other = rng.normal(size=(2, 8, 2)).astype("float32")
    real = generated + 5.0
    Drift()(generated, real, other).shape  # (8, 2)
    ```
    """

    #: Names of what `flow` returns beside the velocity.
    log_names: tuple[str, ...] = ()

    #: Whether the velocity of a row depends on no other row that moves with
    #: it, so that it is a field, which can be drawn anywhere.
    is_field = False

    #: Whether rows of a second generated batch repel.
    uses_second_batch = True

    #: Whether rows can be restricted to those of one class.
    takes_labels = True

    #: Whether rows of other classes can repel.
    takes_guidance = True

    #: Whether a row repels itself where there is no second batch.
    own_row_counts = False

    #: Whether `flow` asks for pairs block by block, so that the memory for a
    #: large batch is bounded.
    works_in_blocks = False

    def flow(self, pairs: Pairs, seed: Seed) -> tuple[Tensor, Logs]:
        """Returns the velocity of `pairs.y`, and scalars by `log_names`.

        Args:
            pairs: Generated rows `y`, `(n, d)`, real rows `x`, `(m, d)`, and
                rows `z` that repel, `(k, d)`. By `real` and `other` they are
                neighbors, with distances and with a weight for each pair.
            seed: Integer or `keras.random.SeedGenerator`.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must define `flow(pairs, seed)`."
        )

    def __call__(
        self,
        generated: Tensor,
        real: Tensor,
        other: Tensor | None = None,
        generated_labels: Tensor | None = None,
        real_labels: Tensor | None = None,
        other_labels: Tensor | None = None,
        guidance: float | tuple[float, float] = 1.0,
        seed: Seed = None,
    ) -> Tensor:
        """Returns the velocity of generated rows, a tensor of their shape.

        Args:
            generated: Generated rows, `(n, *shape)`.
            real: Real rows, `(m, *shape)`.
            other: A second batch of generated rows, `(k, *shape)`. Without
                one, the generated rows repel each other, which is biased: a
                row is left out of its own neighbors.
            generated_labels: A label for each generated row, a number or an
                array. Rows then see only those of their own class; tensors are
                not checked for missing classes, whose rows do not move.
            real_labels: The labels of the real rows.
            other_labels: The labels of the second batch, by default those of
                `generated`.
            guidance: How strongly real rows of other classes repel: at rest,
                `q(x|c)` is proportional to
                `g p(x|c) - (g - 1) p(x|not c)`. 1 for no guidance; a pair
                `(low, high)` draws a `g` for each row, with the density
                `g^-3`.
            seed: Integer or `keras.random.SeedGenerator`, for velocities that
                draw, and for guidance.

        Raises:
            TypeError: If an argument is of another type.
            ValueError: If shapes do not fit, a set is too small, or labels are
                missing.
        """
        pairs = self.pairs(
            generated,
            real,
            other,
            generated_labels,
            real_labels,
            other_labels,
            guidance,
            seed,
        )
        velocity, _ = self.with_logs(pairs, seed)
        return ops.reshape(velocity, ops.shape(generated))

    def with_logs(self, pairs: Pairs, seed: Seed = None) -> tuple[Tensor, Logs]:
        """Returns the velocity of rows, `(n, d)`, and scalars by `log_names`.

        Where there are too many pairs, they are looked at in blocks of rows.

        Args:
            pairs: What `pairs` returns.
            seed: As in `__call__`.
        """
        velocity, logs = self._flow_in_blocks(pairs, seed)
        return (
            ops.stop_gradient(velocity),
            {k: ops.stop_gradient(v) for k, v in logs.items()},
        )

    def _flow_in_blocks(self, pairs: Pairs, seed: Seed) -> tuple[Tensor, Logs]:
        if not self.works_in_blocks:
            return self._flow(pairs, seed)
        too_many = pairs.are_too_many()
        if isinstance(too_many, bool):
            return self._flow(pairs.in_blocks() if too_many else pairs, seed)
        return ops.cond(
            too_many,
            lambda: self._flow(pairs.in_blocks(), seed),
            lambda: self._flow(pairs, seed),
        )

    def _flow(self, pairs: Pairs, seed: Seed) -> tuple[Tensor, Logs]:
        velocity, logs = self.flow(pairs, seed)
        if pairs.labels is not None:
            # (Without a real row of their class, others would only repel.)
            exist = pairs.map(lambda real, other: real.exist())
            velocity = velocity * exist
        return velocity, logs

    def pairs(
        self,
        generated: Tensor,
        real: Tensor,
        other: Tensor | None = None,
        generated_labels: Tensor | None = None,
        real_labels: Tensor | None = None,
        other_labels: Tensor | None = None,
        guidance: float | tuple[float, float] = 1.0,
        seed: Seed = None,
    ) -> Pairs:
        """Returns what `flow` takes.

        The arguments are those of `__call__`.
        """
        guidance = check_guidance(guidance)
        self._check_labels(generated_labels, real_labels, guidance)
        y = as_rows(generated, "generated")
        x = as_rows(real, "real", like=y)
        alone = other is None
        z = y if alone else as_rows(other, "other", like=y)
        repels_itself = not alone or self.own_row_counts
        if not repels_itself:
            check_several(y)
        if other_labels is not None and (alone or generated_labels is None):
            raise ValueError(
                "`other_labels` are those of `other`: pass `other`, "
                "`generated_labels` and `real_labels` too."
            )
        labels: Any = None
        if generated_labels is not None:
            if other_labels is None or alone:
                other_labels = generated_labels
            labels = (
                as_labels(generated_labels, y, "generated_labels"),
                as_labels(real_labels, x, "real_labels"),
                as_labels(other_labels, z, "other_labels"),
            )
            check_sizes(*labels)
            check_classes(generated_labels, real_labels)
        strength: Any = None
        if guidance != 1.0:
            strength = draw_guidance(guidance, y, seed)
        return Pairs(y, x, z, repels_itself, labels, strength)

    def _check_labels(
        self, generated_labels: Any, real_labels: Any, guidance: Any
    ) -> None:
        name = type(self).__name__
        if (generated_labels is None) != (real_labels is None):
            raise ValueError(
                "Pass both `generated_labels` and `real_labels`, or none: rows "
                "see those of their own class."
            )
        if guidance != 1.0 and generated_labels is None:
            raise ValueError(
                "`guidance` needs labels: real rows of other classes repel. "
                f"Received: guidance={guidance!r} and no labels."
            )
        if guidance != 1.0 and not self.takes_guidance:
            raise ValueError(
                f"{name} has no guidance. Take KernelRatio, MMD, Energy or "
                f"Drifting. Received: guidance={guidance!r}."
            )
        if generated_labels is not None and not self.takes_labels:
            raise ValueError(
                f"{name} compares all rows at once, and cannot restrict them "
                "to those of one class. Take another velocity for a "
                "conditional model."
            )

    # ------------------------------------------------ sums, configurations

    def __mul__(self, weight: float) -> "Velocity":
        """Returns this velocity times a positive number."""
        from keras_monoflow.velocities.weighted_sum import WeightedSum

        return WeightedSum([self], [weight])

    __rmul__ = __mul__

    def __add__(self, other: Any) -> "Velocity":
        """Returns the sum of two velocities."""
        from keras_monoflow.velocities.weighted_sum import WeightedSum

        return WeightedSum([self, other], [1.0, 1.0])

    def user_objects(self) -> list[tuple[Any, str]]:
        """Returns what a user has passed and must have registered with Keras
        for a model to be saved, each with the name of its argument."""
        return [(type(self), "velocity")]

    def get_config(self) -> Config:
        return {}

    @classmethod
    def from_config(cls, config: Config) -> Any:
        return cls(**config)

    def __repr__(self) -> str:
        arguments = ", ".join(
            f"{k}={v!r}" for k, v in self.get_config().items()
        )
        return f"{type(self).__name__}({arguments})"


def check_bandwidths(owner: str, name: str, values: Any) -> tuple[float, ...]:
    """Returns one or several positive numbers as a tuple.

    Raises:
        TypeError, ValueError: If there is none, or one is not positive.
    """
    if isinstance(values, str) or not hasattr(values, "__iter__"):
        values = (values,)
    checked = tuple(
        check_number(f"{name} of {owner}", value, above=0) for value in values
    )
    if not checked:
        raise ValueError(
            f"`{name}` of {owner} must hold at least one positive number. "
            f"Received: {name}={values!r}."
        )
    return checked
