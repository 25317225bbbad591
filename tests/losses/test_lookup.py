import keras
import pytest

from keras_monoflow import losses, mappings
from keras_monoflow.losses import lookup

#: Names in programs and papers, which have to stay.
NAMES = {
    "logistic": losses.LogisticLoss,
    "binary_crossentropy": losses.LogisticLoss,
    "least_squares": losses.LeastSquaresLoss,
    "lsgan": losses.LeastSquaresLoss,
    "exponential": losses.ExponentialLoss,
    "boosting": losses.ExponentialLoss,
    "donsker_varadhan": losses.DonskerVaradhanLoss,
    "kliep": losses.DonskerVaradhanLoss,
    "least_squares_ratio": losses.LeastSquaresRatioLoss,
    "ulsif": losses.LeastSquaresRatioLoss,
    "b_gan": losses.LeastSquaresRatioLoss,
}


@pytest.mark.parametrize(("name", "expected"), NAMES.items())
def test_names_and_aliases(name, expected):
    for spelling in (name, name.upper(), name.replace("_", "-")):
        assert type(losses.get(spelling)) is expected


def test_an_instance_is_kept():
    loss = losses.LogisticLoss(0.1)
    assert losses.get(loss) is loss


def test_matched_takes_the_mapping():
    loss = losses.get("matched", mappings.Vanilla(3.0))
    assert loss.mapping.get_config() == {"shift": 3.0}
    assert isinstance(losses.get("Matched", "kl").mapping, mappings.Alpha)
    with pytest.raises(ValueError, match="dual"):
        losses.get("matched", "arcsinh")


def test_unknown_name():
    with pytest.raises(ValueError, match="`discriminator_loss`") as error:
        losses.get("logistics")
    message = str(error.value)
    assert "Did you mean 'logistic'?" in message
    assert all(name in message for name in {*lookup.NAMED, *lookup.ALIASES})


@pytest.mark.parametrize(
    "wrong", [None, 1.0, losses.LogisticLoss, keras.losses.Hinge()]
)
def test_wrong_type(wrong):
    with pytest.raises(TypeError, match="`discriminator_loss` must be"):
        losses.get(wrong)


def test_configuration_of_something_else():
    config = keras.saving.serialize_keras_object(keras.losses.Hinge())
    with pytest.raises(TypeError, match="`discriminator_loss` must be"):
        losses.get(config)
