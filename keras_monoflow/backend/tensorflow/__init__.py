from keras_monoflow.backend.tensorflow import engine, processes, replicas

__all__ = ["engine", "processes", "replicas"]
