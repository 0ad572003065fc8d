"""Makes the helpers in this folder importable by every test."""
