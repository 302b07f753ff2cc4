"""`function`: Python over Keras variables, traced once per kind of arguments and run as one XLA program."""
