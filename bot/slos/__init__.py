"""Objectives beside the success of runs: from what their authors write to burn-rate rules."""
