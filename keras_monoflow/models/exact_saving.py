"""What a flow model writes to files, and takes back from them."""

import os
import warnings
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_monoflow import files, gradients
from keras_monoflow.backend import keras_internals, processes
from keras_monoflow.models.network_checks import is_registered
from keras_monoflow.optimizers import without_loss_scaling
from keras_monoflow.schedules import user_objects
from keras_monoflow.typing import Config


class ExactSaving(keras.Model):
    """The half of a `FlowModel` that makes a resumed run exact.

    Keras saves weights, optimizer slots and what `get_config` returns. Added
    here are the compile arguments, the states of all random seeds, the weights
    of the networks that the distribution metrics look through, and the shapes
    of the model's own, to refuse files of other ones.

    It reads `role`, `seed`, `choices`, `_field`, `distribution_metrics`,
    `optimizers_by_argument`, and the networks that `network_roles` names.
    """

    @classmethod
    def network_roles(cls) -> tuple[str, ...]:
        """The networks as constructor arguments, attributes and in files."""
        return (cls.role,)

    def _networks(self):
        networks = [getattr(self, role) for role in self.network_roles()]
        return [network for network in networks if network is not None]

    def get_config(self) -> Config:
        serialize = keras.saving.serialize_keras_object
        networks = {
            r: serialize(getattr(self, r)) for r in self.network_roles()
        }
        return {**networks, "seed": self.seed, "name": self.name}

    @classmethod
    def from_config(
        cls, config: Config, custom_objects: dict[str, Any] | None = None
    ) -> Any:
        config = dict(config)
        for role in cls.network_roles():
            config[role] = keras.saving.deserialize_keras_object(
                config[role], custom_objects=custom_objects
            )
        return cls(**config)

    def get_compile_config(self) -> Config:
        if not self.compiled:
            return {}
        return {
            **self._compile_arguments(),
            "distribution_metrics": self._serialize_metrics(),
        }

    def _serialize_metrics(self):
        try:
            return keras.saving.serialize_keras_object(
                self.distribution_metrics
            )
        except (TypeError, ValueError) as error:
            warnings.warn(
                "The DistributionMetrics cannot be saved with the model, so "
                f"`evaluate` of a loaded one will lack them: {error}",
                stacklevel=2,
            )

    def _compile_arguments(self):
        return {
            **self._field.arguments(),
            **self.choices.arguments("step_size", "normalize_velocity"),
            **self._trainer_arguments,
        }

    def compile_from_config(self, config: Config) -> None:
        config = keras.saving.deserialize_keras_object(config)
        self.distribution_metrics = config.pop("distribution_metrics", None)
        self.compile(**config)

    def save(
        self,
        filepath: str | os.PathLike[str],
        overwrite: bool = True,
        zipped: bool | None = None,
        **kwargs: Any,
    ) -> None:
        """As in Keras; raises before it writes if something cannot be saved.

        A file that is there already is replaced by the complete new one.
        """
        self.check_savable(filepath)
        with processes.apart(self._saved_variables()):
            others = kwargs or zipped is False
            if not _can_be_replaced(filepath, ".keras", overwrite, others):
                super().save(filepath, overwrite, zipped, **kwargs)
                return
            with files.replacing(
                filepath, f"{type(self).__name__}.save"
            ) as new:
                super().save(new)

    def save_weights(
        self, filepath: Any, overwrite: bool = True, **kwargs: Any
    ) -> None:
        """As in Keras; one of several processes can do it alone.

        A file that is there already is replaced by the complete new one.
        """
        with processes.apart(self._saved_variables()):
            if not _can_be_replaced(filepath, ".weights.h5", overwrite, kwargs):
                super().save_weights(filepath, overwrite, **kwargs)
                return
            weights = files.WeightsInMemory()
            super().save_weights(weights)
        files.write_weights(
            weights, filepath, f"{type(self).__name__}.save_weights"
        )

    def export(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """Says what to export instead: an artifact holds one network.

        Raises:
            ValueError: Always.
        """
        networks = [r for r in self.network_roles() if getattr(self, r)]
        if not networks:
            raise ValueError(
                f"`export` writes a network for inference, and this "
                f"{type(self).__name__} has none: its samples are an array. "
                "`save` writes all, to go on."
            )
        network, given = networks[0], repr(str(filepath))
        average = "`model.averaged_generator`, trained with `ema`"
        raise ValueError(
            f"`export` writes one network for inference, and a "
            f"{type(self).__name__} is more. Export the one that you need: "
            f"`model.{network}.export({given})`"
            + (f", or {average}" if network == "generator" else "")
            + ". `save` writes all, to train on."
        )

    def _saved_variables(self):
        if not self.compiled:
            return self.variables
        return gradients.all_variables(self)

    def check_savable(self, filepath: str | os.PathLike[str]) -> None:
        """Checks that `save` can write a file from which a model can be loaded.

        Raises:
            ValueError: If not.
        """
        if str(filepath).endswith((".h5", ".hdf5")):
            raise ValueError(
                f"A {type(self).__name__} cannot be loaded from an HDF5 file. "
                "Save it as `.keras`, or its weights alone as `.weights.h5`, "
                "with `save_weights` or `ModelCheckpoint(save_weights_only="
                f"True)`. Received: filepath={str(filepath)!r}."
            )
        things = [*self._user_objects(), *self._optimizer_objects()]
        for thing, argument in things:
            if not is_registered(thing):
                raise ValueError(
                    f"The {argument} {thing!r} is not registered with Keras, "
                    "so a saved model could not be loaded. Decorate it with "
                    "`@keras.saving.register_keras_serializable()`, or save "
                    "weights only with `save_weights`. Nothing was written."
                )

    def _user_objects(self):
        """What a user may have passed and not registered, with the name of the
        argument."""
        parts = [self._field, *self.penalties]
        if self.augment is not None:
            parts.append(self.augment)
        schedules = [
            thing
            for name in ("step_size", "ema", "ema_half_life")
            for thing in user_objects(getattr(self.choices, name, None), name)
        ]
        return schedules + [
            thing for part in parts for thing in part.user_objects()
        ]

    def _optimizer_objects(self):
        """The same of the optimizers and their learning rates."""
        optimizers = self.optimizers_by_argument() if self.compiled else {}
        things = []
        for argument, optimizer in optimizers.items():
            optimizer = without_loss_scaling(optimizer)
            rate = keras_internals.learning_rate(optimizer)
            things.append((type(optimizer), argument))
            things += user_objects(rate, f"learning rate of `{argument}`")
        return things

    def save_own_variables(self, store: Any) -> None:
        store["shapes"] = self._network_shapes()
        # Keras leaves the state of random seeds out of files.
        for i, seed in enumerate(self._seed_states()):
            store[f"seed_{i}"] = ops.convert_to_numpy(seed)
        for name, weight in self._metric_weights().items():
            store[name] = ops.convert_to_numpy(weight)

    def load_own_variables(self, store: Any) -> None:
        saved = np.array(store["shapes"]) if "shapes" in store else None
        if saved is None or not np.array_equal(saved, self._network_shapes()):
            raise ValueError(
                "The file holds the weights of other networks than those of "
                f"{self.name!r}: the shapes of "
                f"{' and '.join(self.network_roles())} weights differ. Build "
                "the networks as they were when the file was written, or "
                "resume in another folder."
            )
        for i, seed in enumerate(self._seed_states()):
            seed.assign(np.array(store[f"seed_{i}"]))
        for name, weight in self._metric_weights().items():
            if name in store:
                weight.assign(np.array(store[name]))

    def _seed_states(self):
        weights = {id(w) for w in self.weights}
        return [v for v in self.variables if id(v) not in weights]

    def _metric_weights(self):
        """Weights of the distribution metrics' networks, by name in files."""
        callback = self.distribution_metrics
        return {} if callback is None else callback.saved_weights()

    def _network_shapes(self):
        """The ranks and shapes of all weights as one list of integers."""
        weights = [w for network in self._networks() for w in network.weights]
        return np.array(
            [n for w in weights for n in (len(w.shape), *w.shape)], "int64"
        )


def _can_be_replaced(filepath, ending, overwrite, others):
    """Returns whether a file is one that can be renamed when it is complete."""
    is_path = isinstance(filepath, (str, os.PathLike))
    name = str(filepath)
    is_ours = is_path and name.endswith(ending) and "://" not in name
    return is_ours and overwrite and not others
