"""Some rows of the data, for what compares samples with them."""

from typing import Any

from keras import ops

from keras_monoflow.data import first_rows
from keras_monoflow.models import data_checks, label_checks
from keras_monoflow.typing import Array

#: How many rows of the data, and as many generated ones, stand for all.
REFERENCE_ROWS = 1024


class ReferenceRows:
    """Rows of the data of the last `fit`, or those that a user has set.

    Args:
        model: A `FlowModel`, which knows what its samples look like.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self._rows: tuple[Array, Array | None] | None = None

    @property
    def are_known(self) -> bool:
        return self._rows is not None

    def remember(self, x: Any, y: Any) -> None:
        """Keeps some rows of data, unless a look would use them up."""
        self._rows = first_rows(x, y, REFERENCE_ROWS) or self._rows

    def set(self, x: Any, labels: Any = None) -> None:
        """Keeps some rows of an array, with their labels or `None`.

        Raises:
            ValueError: If they do not fit the model.
        """
        model = self.model
        x = ops.convert_to_numpy(model.rows(x))
        shape, owner = model.sample_shape, model.sample_owner
        data_checks.check_structure(x, type(model).__name__)
        data_checks.check_data(x, shape, owner, len(x))
        label_checks.check_labels(
            labels, model.conditional, type(model).__name__
        )
        if labels is not None:
            labels = model.conditions.join(labels)
            labels = model.labels.check(labels, len(x))
        self.remember(x, labels)

    def get(self, reason: str) -> tuple[Array, Array | None]:
        """Returns the rows and their labels or `None`.

        Args:
            reason: What needs them, the beginning of the message.

        Raises:
            ValueError: If none are known.
        """
        if self._rows is None:
            raise ValueError(
                f"{reason} compares samples with rows of the data, and none "
                "are known: the model was loaded from a file, or trained on a "
                "stream that can be read only once. Pass some to "
                "`model.set_reference(x)`."
            )
        return self._rows
