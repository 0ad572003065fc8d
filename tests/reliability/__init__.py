"""What `make reliability` runs: every crash point of a page's life, and the fault table with its verdicts."""
