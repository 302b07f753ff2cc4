"""Bodies of predict requests that are no JSON: protobuf, NumPy's files and Arrow streams, for inputs that are large."""
