"""Models: where they come from, how versions load and which of them answer."""
