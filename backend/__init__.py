"""Sigmascope's backend: an instruction-driven generative recommender that one can look into while it works."""
