"""What every mapping has in common."""

from collections.abc import Callable
from typing import Any

import keras

from keras_monoflow.gradients import input_gradient
from keras_monoflow.numerics import at_least_float32
from keras_monoflow.registry import MAPPINGS
from keras_monoflow.typing import Config, Tensor


class Mapping:
    """A strictly increasing function `h` of the log density ratio `u`.

    Subclasses define `h(u)` with `keras.ops`. They may define `slope(u)`, the
    derivative in closed form (automatic differentiation is used otherwise),
    and `dual(u)`.

    Calling the mapping, `derivative` and `dual` take a tensor of any shape and
    return one of the same shape, in float32 or the input's float64.

    Example:

    ```python
    import keras_monoflow as kmf
    from keras import ops

    class Cubic(kmf.mappings.Mapping):
        def h(self, u):
            return u + u**3

    kmf.mappings.check_monotone(Cubic())
    Cubic().derivative(ops.convert_to_tensor([0.0, 1.0]))  # [1, 4]
    ```
    """

    #: Whether `h` depends on the log ratios of the data; see `given`.
    needs_real = False

    #: The function `g` with `g'(u) = exp(-u) h'(u)`, or `None` if unknown.
    dual: Any = None

    def h(self, u: Tensor) -> Tensor:
        raise NotImplementedError(
            f"{type(self).__name__} must define `h(self, u)`."
        )

    def __call__(self, u: Tensor) -> Tensor:
        """Returns `h(u)`."""
        return self.h(at_least_float32(u))

    def given(self, real_log_ratio: Tensor) -> "Mapping":
        """Returns the mapping for given log ratios of samples of the data.

        Args:
            real_log_ratio: Tensor of any shape.
        """
        return self

    def slope(self, u: Tensor) -> Tensor:
        return input_gradient(self.h, u)

    def derivative(self, u: Tensor) -> Tensor:
        """Returns `h'(u)`, the speed of a sample along `grad u`."""
        return self.slope(at_least_float32(u))

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


@MAPPINGS.register()
class FunctionMapping(Mapping):
    """A user's function as a mapping, differentiated automatically.

    Args:
        function: A strictly increasing elementwise function of a tensor.
            Decorate it with `keras.saving.register_keras_serializable` to be
            able to save models that use it.
    """

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self.function = function

    def h(self, u: Tensor) -> Tensor:
        return self.function(u)

    def get_config(self) -> Config:
        return {"function": keras.saving.serialize_keras_object(self.function)}

    @classmethod
    def from_config(cls, config: Config) -> Any:
        return cls(keras.saving.deserialize_keras_object(config["function"]))

    def __repr__(self) -> str:
        return f"FunctionMapping({getattr(self.function, '__name__', '?')})"
