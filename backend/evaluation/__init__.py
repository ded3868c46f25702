"""Evaluation: cases, baselines, the protocol, and what is read off its tables."""

OURS = "SIGMA"  # a workspace's own recommender in every table; its variants are named "SIGMA, …"
