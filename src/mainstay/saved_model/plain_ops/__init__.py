"""Programs as plain TensorFlow ops: a traced JAX function becomes nodes that every TensorFlow runtime knows."""
