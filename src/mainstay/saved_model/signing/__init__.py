"""Signatures of saved models in the format of OpenSSF model signing: who made them, and whom to trust."""
