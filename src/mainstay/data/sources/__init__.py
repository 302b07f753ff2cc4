"""Sources: where the elements of a dataset come from."""
