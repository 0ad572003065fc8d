"""Runbook YAML plus an alert becomes what a human reads, with the checks already run."""
