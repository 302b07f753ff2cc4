"""TF Serving's REST interface: paths, JSON in, JSON out."""
