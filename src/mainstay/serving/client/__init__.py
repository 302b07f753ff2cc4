"""The client: models of a server called with NumPy arrays, over REST or gRPC."""
