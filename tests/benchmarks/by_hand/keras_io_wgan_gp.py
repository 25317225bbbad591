"""WGAN-GP in the way that the examples on keras.io train it.

One `keras.Model` for TensorFlow whose `train_step` opens gradient tapes: a
Python loop over the critic steps, each with new samples and the two-sided
penalty, and one generator step. The loop is unrolled into the graph.
"""

import keras
import tensorflow as tf


class WGANGP(keras.Model):
    """A generator and a critic with one optimizer each."""

    def __init__(self, generator, critic, latent, steps=3, weight=10.0):
        super().__init__()
        self.generator, self.critic = generator, critic
        self.latent, self.steps, self.weight = latent, steps, weight

    def compile(self, generator_optimizer, critic_optimizer, **options):
        super().compile(**options)
        self.generator_optimizer = generator_optimizer
        self.critic_optimizer = critic_optimizer

    def penalty(self, real, fake):
        t = tf.random.uniform((tf.shape(real)[0], 1, 1, 1))
        between = real + t * (fake - real)
        with tf.GradientTape() as tape:
            tape.watch(between)
            outputs = self.critic(between, training=True)
        gradient = tape.gradient(outputs, between)
        norm = tf.sqrt(tf.reduce_sum(tf.square(gradient), axis=(1, 2, 3)))
        return tf.reduce_mean(tf.square(norm - 1.0))

    def train_step(self, real):
        real = real[0] if isinstance(real, tuple) else real
        n = tf.shape(real)[0]
        for _ in range(self.steps):
            noise = tf.random.normal((n, self.latent))
            with tf.GradientTape() as tape:
                fake = self.generator(noise, training=True)
                on_fake = self.critic(fake, training=True)
                on_real = self.critic(real, training=True)
                distance = tf.reduce_mean(on_fake) - tf.reduce_mean(on_real)
                loss = distance + self.weight * self.penalty(real, fake)
            variables = self.critic.trainable_variables
            gradients = tape.gradient(loss, variables)
            self.critic_optimizer.apply_gradients(zip(gradients, variables))
        noise = tf.random.normal((n, self.latent))
        with tf.GradientTape() as tape:
            fake = self.generator(noise, training=True)
            generator_loss = -tf.reduce_mean(self.critic(fake, training=True))
        variables = self.generator.trainable_variables
        gradients = tape.gradient(generator_loss, variables)
        self.generator_optimizer.apply_gradients(zip(gradients, variables))
        return {"critic_loss": loss, "generator_loss": generator_loss}


def make(recipe, networks, jit_compile=False):
    """The model with the settings of a recipe, compiled."""
    model = WGANGP(*networks, recipe.latent, recipe.steps, recipe.weight)
    model.compile(
        *(
            keras.optimizers.Adam(rate, recipe.beta_1, recipe.beta_2)
            for rate in (recipe.generator_rate, recipe.discriminator_rate)
        ),
        jit_compile=jit_compile,
    )
    return model
