"""Which message goes to whom, and what becomes of each attempt to send it."""
