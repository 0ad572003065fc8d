"""Answers PromQL over recent samples held in NumPy columns."""
