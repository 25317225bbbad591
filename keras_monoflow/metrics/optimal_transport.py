"""The import of POT, without the frameworks that POT would load."""

import os
import sys
from types import ModuleType

# The switches that POT reads when it is first imported.
_SWITCHES = {
    "torch": "POT_BACKEND_DISABLE_PYTORCH",
    "jax": "POT_BACKEND_DISABLE_JAX",
    "cupy": "POT_BACKEND_DISABLE_CUPY",
    "tensorflow": "POT_BACKEND_DISABLE_TENSORFLOW",
}


def import_pot() -> tuple[ModuleType, ModuleType]:
    """Returns POT (`ot`) and SciPy's `distance`; loads no other framework.

    POT imports every framework that is installed. Only its NumPy side is used
    here; loading TensorFlow in a JAX program costs seconds and memory, and
    some pairs of frameworks crash when loaded in the wrong order.
    """
    switched_off = [
        switch
        for framework, switch in _SWITCHES.items()
        if framework not in sys.modules and switch not in os.environ
    ]
    os.environ.update(dict.fromkeys(switched_off, "1"))
    try:
        import ot
        import scipy.spatial
    except ImportError as error:
        raise ImportError(
            "The Wasserstein distances need POT and SciPy. Install them "
            'with `pip install "keras-monoflow[metrics]"`.'
        ) from error
    finally:
        for switch in switched_off:
            del os.environ[switch]
    return ot, scipy.spatial.distance
