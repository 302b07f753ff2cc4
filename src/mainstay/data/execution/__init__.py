"""Execution: threads, processes, queues under a budget, and what they report."""
