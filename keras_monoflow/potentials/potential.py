"""The base of all potentials."""

from typing import Any

from keras_monoflow.arguments import takes
from keras_monoflow.typing import Config, Tensor


class Potential:
    """The base of all potentials: an objective and a value.

    Outputs have the shape `(batch,)` or `(batch, 1)`. Everything is computed
    in at least float32.

    Example: the flow of a critic that is trained with the hinge loss.

    ```python
    from keras import ops
    import keras_monoflow as kmf

    class HingePotential(kmf.potentials.Potential):
        def objective(self, real_output, fake_output, real, generated):
            return ops.mean(ops.relu(1 - real_output)) + ops.mean(
                ops.relu(1 + fake_output)
            )

        def value(self, output, reference_output=None):
            return output
    ```
    """

    #: Names of what `logs` returns.
    log_names: tuple[str, ...] = ()

    #: Whether the output stands for `log(p_data / p_gen)`; see `log_ratio`.
    estimates_ratio = False

    #: Whether the discriminator must be kept 1-Lipschitz for the flow.
    needs_lipschitz = False

    #: Whether `value` and `log_ratio` need the output on generated samples.
    needs_reference = False

    #: Whether `value` needs the output on real samples.
    needs_real_output = False

    #: What cannot be computed as a mean over the parts of a batch, in words for
    #: an error message, or `None`.
    whole_batch_part: str | None = None

    def objective(
        self,
        real_output: Tensor,
        fake_output: Tensor,
        real: Tensor,
        generated: Tensor,
    ) -> Tensor:
        """Returns the scalar that the discriminator minimizes.

        Args:
            real_output: Output on the real samples, `(m,)` or `(m, 1)`.
            fake_output: Output on the generated ones, `(n,)` or `(n, 1)`.
            real: The real samples, `(m, *sample_shape)`.
            generated: The generated samples, `(n, *sample_shape)`.
        """
        raise NotImplementedError

    def value(
        self, output: Tensor, reference_output: Tensor | None = None
    ) -> Tensor:
        """Returns `V`, of the shape of `output`.

        A potential that `needs_real_output` takes a third argument,
        `real_output`, the output on real samples.

        Args:
            output: The discriminator's output on any samples.
            reference_output: Its output on generated samples, where
                `needs_reference`; by default `output` is taken for it.
        """
        raise NotImplementedError

    def log_ratio(
        self, output: Tensor, reference_output: Tensor | None = None
    ) -> Tensor:
        """Returns the estimate of `log(p_data / p_gen)`.

        Raises:
            ValueError: If the potential estimates no density ratio.
        """
        raise ValueError(
            f"{type(self).__name__} estimates no density ratio. See `velocity` "
            "for where samples move."
        )

    def logs(
        self, real_output: Tensor, fake_output: Tensor, **weights: Tensor
    ) -> dict[str, Tensor]:
        """Returns what else two outputs tell, scalars by `log_names`."""
        return {}

    def weights_refused(self, for_both: bool) -> str | None:
        """Returns what rules out weights of samples, in words for an error
        message, or `None`: `objective` and `logs` then take `real_weight` and
        `fake_weight`, weights `(n,)` whose mean is 1.

        Args:
            for_both: Whether generated samples have weights too.
        """
        functions = self.objective, self.logs
        takes_them = all(takes(f, "real_weight") for f in functions)
        return None if takes_them else type(self).__name__

    def arguments(self) -> Config:
        """Returns the arguments of a model's `compile` that made it, as its
        files hold them."""
        return {}

    def user_objects(self) -> list[tuple[Any, str]]:
        """Returns what a user has passed and must have registered with Keras
        for a model to be saved, each with the name of its argument."""
        return []
