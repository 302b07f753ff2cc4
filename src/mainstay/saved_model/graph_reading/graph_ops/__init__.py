"""What TensorFlow's ops mean here: one function for each op, written in NumPy and JAX."""
