"""Training steps as one would write them by hand, without the package."""
