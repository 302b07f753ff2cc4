"""`GradientTape`: reverse-mode differentiation of what Python did, over plain JAX arrays."""
