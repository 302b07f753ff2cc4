"""Processes: several servers on the same ports, one parent that keeps them up, and one control plane over all."""
