"""What an alert's expression was over time, as a line of text or a picture. Pure."""
