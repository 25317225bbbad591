"""A round of training in plain TensorFlow: one `tf.function` on variables.

The gradients are those of `tf.GradientTape`, and the optimizer is the fused
kernel of Adam that TensorFlow has, whose formula is that of Keras.
"""

import tensorflow as tf

from .tensorflow_networks import networks_of


class Network:
    """Weights, batch statistics, and the slots of Adam."""

    def __init__(self, weights, statistics):
        self.weights = [tf.Variable(w) for w in weights]
        self.statistics = [tf.Variable(s, trainable=False) for s in statistics]
        self.slots = [
            [tf.Variable(tf.zeros_like(w), trainable=False) for _ in range(2)]
            for w in weights
        ]
        self.count = tf.Variable(0.0, trainable=False)

    def adam(self, gradients, rate, recipe):
        b1, b2 = recipe.beta_1, recipe.beta_2
        t = self.count.assign_add(1.0)
        power_1, power_2 = tf.pow(b1, t), tf.pow(b2, t)
        for w, (m, v), g in zip(self.weights, self.slots, gradients):
            tf.raw_ops.ResourceApplyAdam(
                var=w.handle,
                m=m.handle,
                v=v.handle,
                beta1_power=power_1,
                beta2_power=power_2,
                lr=rate,
                beta1=b1,
                beta2=b2,
                epsilon=recipe.epsilon,
                grad=g,
            )

    def keep(self, statistics):
        for variable, value in zip(self.statistics, statistics):
            variable.assign(value)


def draw(recipe, n, sample_rank):
    """All noise of a round: the latent points of each step, and times."""
    sets = (0 if recipe.reuse else recipe.steps) + 1
    latents = tf.random.normal((sets, n, recipe.latent))
    times = None
    if recipe.penalty == "lipschitz":
        shape = (recipe.steps, n) + (1,) * sample_rank
        times = tf.random.uniform(shape)
    return latents, times


class ByHand:
    """A step with its variables, as the benchmark and the test call it."""

    def __init__(
        self,
        recipe,
        generator,
        discriminator,
        seed=0,
        draw=draw,
        jit_compile=False,
    ):
        tf.random.set_seed(seed)
        self.recipe = recipe
        self._draw = draw
        self._generate, self._discriminate = networks_of(recipe)
        self.generator = Network(*generator)
        self.discriminator = Network(*discriminator)
        self.step = tf.function(
            self._round, jit_compile=jit_compile, autograph=False
        )

    def _round(self, real):
        recipe = self.recipe
        n, rank = real.shape[0], len(real.shape) - 1
        latents, times = self._draw(recipe, n, rank)
        fakes = None
        if recipe.reuse:
            y, statistics, tape = self._generated(latents[0])
            fakes = [y] * recipe.steps
        elif recipe.merged and recipe.steps > 1:
            points = tf.reshape(latents[:-1], (-1, recipe.latent))
            generated, _ = self._generate(self.generator.weights, [], points)
            fakes = tf.split(generated, recipe.steps)
        for i in range(recipe.steps):
            fake = fakes[i] if fakes is not None else self._fresh(latents[i])
            t = None if times is None else times[i]
            loss, penalty = self._discriminator_step(real, fake, t)
        if not recipe.reuse:
            y, statistics, tape = self._generated(latents[-1])
        value = self._generator_steps(latents[-1], y, tape)
        self.generator.keep(statistics)
        return {"generator": value, "discriminator": loss, "penalty": penalty}

    # ------------------------------------------------------ discriminator

    def _fresh(self, latent):
        g = self.generator
        fake, statistics = self._generate(g.weights, g.statistics, latent)
        g.keep(statistics)
        return fake

    def _discriminator_step(self, real, fake, times):
        recipe, d = self.recipe, self.discriminator
        with tf.GradientTape() as tape:
            on_real, on_fake, statistics = self._outputs(real, fake)
            if recipe.flow == "monoflow":
                loss = tf.reduce_mean(tf.nn.softplus(-on_real))
                loss += tf.reduce_mean(tf.nn.softplus(on_fake))
            else:
                loss = tf.reduce_mean(on_fake) - tf.reduce_mean(on_real)
            penalty = self._penalty(real, fake, times)
            total = loss + penalty
        gradients = tape.gradient(total, d.weights)
        # The last bias of a critic has no gradient under W1.
        d.adam(gradients, recipe.discriminator_rate, recipe)
        d.keep(statistics)
        return loss, penalty

    def _outputs(self, real, fake):
        d = self.discriminator
        if self.recipe.merged:
            both = tf.concat([real, fake], 0)
            outputs, _ = self._discriminate(d.weights, [], both)
            return *tf.split(outputs, 2), []
        on_real, statistics = self._discriminate(d.weights, d.statistics, real)
        on_fake, statistics = self._discriminate(d.weights, statistics, fake)
        return on_real, on_fake, statistics

    def _penalty(self, real, fake, times):
        recipe, d = self.recipe, self.discriminator
        if recipe.penalty is None:
            return tf.constant(0.0)
        x = real
        if recipe.penalty == "lipschitz":
            x = times * real + (1 - times) * fake
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            output, _ = self._discriminate(d.weights, d.statistics, x)
        slope = tape.gradient(output, x)
        squared = tf.reduce_sum(slope**2, tuple(range(1, len(x.shape))))
        if recipe.penalty == "r1":
            return recipe.weight / 2 * tf.reduce_mean(squared)
        positive = squared > 0
        norm = tf.where(positive, tf.sqrt(tf.where(positive, squared, 1)), 0)
        return recipe.weight * tf.reduce_mean(tf.nn.relu(norm - 1) ** 2)

    # ---------------------------------------------------------- generator

    def _generated(self, latent):
        g = self.generator
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(g.weights)
            y, statistics = self._generate(g.weights, g.statistics, latent)
        return y, statistics, tape

    def _generator_steps(self, latent, y, tape):
        recipe, g, d = self.recipe, self.generator, self.discriminator
        with tf.GradientTape(watch_accessed_variables=False) as slope:
            slope.watch(y)
            value, _ = self._discriminate(d.weights, d.statistics, y)
            if recipe.flow == "monoflow":
                value = tf.math.log_sigmoid(value)
        force = recipe.step_size * slope.gradient(value, y)
        gradients = tape.gradient(
            y, g.weights, output_gradients=-force / y.shape[0]
        )
        g.adam(gradients, recipe.generator_rate, recipe)
        for _ in range(recipe.persistency - 1):
            self._fit(latent, y + force)
        return -tf.reduce_mean(value)

    def _fit(self, latent, target):
        g = self.generator
        with tf.GradientTape() as tape:
            x, _ = self._generate(g.weights, g.statistics, latent)
            loss = tf.reduce_sum((target - x) ** 2) / (2 * x.shape[0])
        gradients = tape.gradient(loss, g.weights)
        g.adam(gradients, self.recipe.generator_rate, self.recipe)

    def wait(self):
        self.generator.weights[-1].numpy()

    def weights(self):
        """Those of both networks, then the statistics, as in Keras."""
        networks = (self.generator, self.discriminator)
        return tuple(
            ([w.numpy() for w in n.weights], [s.numpy() for s in n.statistics])
            for n in networks
        )


def batches_of(data, size):
    """Tensors, one for each batch."""
    return [
        tf.constant(data[i : i + size])
        for i in range(0, len(data) - size + 1, size)
    ]
