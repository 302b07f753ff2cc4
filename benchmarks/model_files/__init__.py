"""Saved models on disk: what makes them, loads them and runs them, in Mainstay, TensorFlow and Keras."""
