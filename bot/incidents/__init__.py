"""Alerts become incidents, and incidents move: open, acked, resolved; who is paged next and why."""
