"""Incidents as Block Kit; buttons and commands as calls of the pipeline."""
