"""The same input pipelines in Mainstay, tf.data, Grain and PyTorch's DataLoader."""
