"""Batches: how rows of requests become one execution, and where it runs."""
