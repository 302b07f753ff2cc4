"""Operations that XLA's CPU compiler is slow at, in terms of primitives that it is fast at."""
