"""Hostile clients: what they send, and what holds whatever they send.

Everything is drawn from a `random.Random`: a seed is a script for `benchmarks.fuzz`, and Hypothesis, which has a
Random of its own, can shrink one.
"""
