import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_monoflow as kmf


def test_clips_elementwise():
    w = np.array([[-3.0, 0.2], [0.05, 7.0]], "float32")
    clipped = kmf.constraints.ClipWeights(0.1)(ops.convert_to_tensor(w))
    np.testing.assert_allclose(
        ops.convert_to_numpy(clipped), np.clip(w, -0.1, 0.1)
    )


@pytest.mark.slow
def test_clipped_critic_stays_clipped(rng):
    clip = kmf.constraints.ClipWeights(0.05)

    def dense(units, activation=None):
        return layers.Dense(
            units, activation, kernel_constraint=clip, bias_constraint=clip
        )

    critic = keras.Sequential([layers.Input((2,)), dense(8, "relu"), dense(1)])
    model = kmf.W1FE(kmf.networks.mlp_generator(2, 2, seed=0), critic, seed=0)
    model.compile(
        generator_optimizer=keras.optimizers.SGD(0.01),
        critic_optimizer=keras.optimizers.SGD(1.0),
        penalty=None,
        critic_steps=2,
        normalize_velocity=True,
    )
    data = rng.normal(3.0, size=(64, 2)).astype("float32")
    model.fit(data, batch_size=32, verbose=0)
    largest = max(np.abs(w).max() for w in critic.get_weights())
    # Reached, since the rate is large, and not exceeded.
    np.testing.assert_allclose(largest, 0.05, rtol=1e-6)


def test_round_trip_and_bad_limit():
    clip = kmf.constraints.ClipWeights(0.3)
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(clip)
    )
    assert again.limit == 0.3
    with pytest.raises(ValueError, match=r"limit=-1"):
        kmf.constraints.ClipWeights(-1)
