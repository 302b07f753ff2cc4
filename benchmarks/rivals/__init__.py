"""The models of the training benchmark, written once for each framework, and the worker that times them."""
