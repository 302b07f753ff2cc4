"""Load on a model server: requests on a schedule that waits for no answer, and what their answers took."""
