"""How metrics keep a network or a function that is one of their arguments."""

from typing import Any, Self

import keras

from keras_monoflow.metrics import features
from keras_monoflow.metrics.base import DistributionMetric
from keras_monoflow.metrics.real_side import weights_checksum
from keras_monoflow.typing import Config


class NetworkArgument(DistributionMetric):
    """Base class of metrics that have an extractor or classifier to save.

    A config holds how a network is built, not its weights. It holds their
    checksum, so that a metric that was made from a config refuses to compute
    before the same weights are loaded.

    Attributes:
        network_role: String, the name of the argument and the attribute.
    """

    network_role = "feature_extractor"
    _awaited_weights: int | None = None

    @property
    def _network(self) -> Any:
        return getattr(self, self.network_role)

    @property
    def saved_weights(self) -> list[Any]:
        """The weights that a config leaves out: those of a Keras network."""
        network = self._network
        return network.weights if features.is_network(network) else []

    def settings(self) -> Config:
        """Returns the arguments of the subclass, which `get_config` extends."""
        return {}

    def _check_callable(self, network: Any) -> None:
        if not callable(network):
            raise TypeError(
                f"`{self.network_role}` must be a Keras model or a callable. "
                f"Received: {self.network_role}={network!r}"
            )

    def _check_weights(self) -> int | None:
        """Returns the checksum of the network's weights, if it has any."""
        if not features.is_network(self._network):
            return None
        weights = weights_checksum(self._network)
        if self._awaited_weights not in (None, weights):
            role = self.network_role
            raise ValueError(
                f"The weights of `{role}` are not those that the metric was "
                "saved with: a config holds no weights. Load them with "
                f"`metric.{role}.load_weights(...)`, or make a new metric with "
                "the trained model."
            )
        self._awaited_weights = None
        return weights

    def get_config(self) -> Config:
        weights = self._awaited_weights
        if weights is None and features.is_network(self._network):
            if not self._network.built:
                raise ValueError(
                    f"`{self.network_role}` has no weights yet, so a config "
                    "could not tell which ones belong to it. Build it first: "
                    "call it on samples."
                )
            weights = weights_checksum(self._network)
        return {
            self.network_role: self._serialized_network(),
            f"{self.network_role}_weights": weights,
            **self.settings(),
            **super().get_config(),
        }

    def _serialized_network(self) -> Any:
        network, role = self._network, self.network_role
        if network is None:
            return None
        name = getattr(network, "__name__", type(network).__name__)
        registered = keras.saving.get_registered_name(
            network if hasattr(network, "__name__") else type(network)
        )
        module = getattr(network, "__module__", None) or ""
        if registered == name and module.split(".")[0] != "keras":
            raise ValueError(
                f"`{role}` cannot be saved, as Keras does not know it. "
                f"Received: {role}={network!r}. Decorate the function or "
                "class with `@keras.saving.register_keras_serializable()`; a "
                "lambda must become a function with a name."
            )
        return keras.saving.serialize_keras_object(network)

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """Makes the metric; the weights of a network are still to be loaded."""
        config = dict(config)
        weights = config.pop(f"{cls.network_role}_weights", None)
        config[cls.network_role] = keras.saving.deserialize_keras_object(
            config[cls.network_role]
        )
        metric = cls(**config)
        metric._awaited_weights = weights
        return metric
