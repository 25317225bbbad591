"""Losses, called as `loss(real_output, fake_output)`, and usable alone."""

# The default comes first in tables and messages, too.
from keras_monoflow.losses.logistic_losses import ExponentialLoss, LogisticLoss

# isort: split
from keras_monoflow.losses.density_ratio_loss import DensityRatioLoss
from keras_monoflow.losses.donsker_varadhan_loss import DonskerVaradhanLoss
from keras_monoflow.losses.hinge_loss import HingeLoss
from keras_monoflow.losses.least_squares_losses import (
    LeastSquaresLoss,
    LeastSquaresRatioLoss,
)
from keras_monoflow.losses.lookup import get
from keras_monoflow.losses.matched_loss import MatchedLoss
from keras_monoflow.losses.monoflow_loss import MonoFlowLoss
from keras_monoflow.losses.named_gans import named_gan
from keras_monoflow.losses.regularized_dual_loss import (
    RegularizedDualLoss,
    quadratic_cost,
)
from keras_monoflow.losses.relativistic_loss import RelativisticLoss
from keras_monoflow.losses.tight_chi_squared_loss import TightChiSquaredLoss
from keras_monoflow.losses.wasserstein_loss import WassersteinLoss

__all__ = [
    "DensityRatioLoss",
    "DonskerVaradhanLoss",
    "ExponentialLoss",
    "HingeLoss",
    "LeastSquaresLoss",
    "LeastSquaresRatioLoss",
    "LogisticLoss",
    "MatchedLoss",
    "MonoFlowLoss",
    "RegularizedDualLoss",
    "RelativisticLoss",
    "TightChiSquaredLoss",
    "WassersteinLoss",
    "get",
    "named_gan",
    "quadratic_cost",
]
