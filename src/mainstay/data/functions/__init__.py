"""Functions: what is done to chunks between the source and the batch, on whatever thread or process."""
