from keras_monoflow.backend.jax import engine, processes, replicas

__all__ = ["engine", "processes", "replicas"]
