"""Experiments: tables of models that differ in one thing each, made, trained and measured side by side; what wordings and cold starts do.

Each is long work that goes on where it was when it is started again.
"""
