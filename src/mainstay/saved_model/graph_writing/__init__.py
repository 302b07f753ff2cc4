"""What makes an artifact a SavedModel of TensorFlow: its graph, its functions and its objects, written without it."""
