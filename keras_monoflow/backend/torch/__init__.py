from keras_monoflow.backend.torch import engine, processes, replicas

__all__ = ["engine", "processes", "replicas"]
