"""Operations: what can be done to a dataset, each with its specs, its length and its stage."""
