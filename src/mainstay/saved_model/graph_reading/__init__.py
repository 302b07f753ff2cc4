"""SavedModels that TensorFlow wrote: read, bound to their variables, and run on NumPy and XLA without TensorFlow."""
