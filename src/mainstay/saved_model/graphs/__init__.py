"""TensorFlow's graph format as values of Python: dtypes, tensors, attributes and the definitions of ops."""
