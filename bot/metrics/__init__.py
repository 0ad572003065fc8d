"""Brings numbers in: scrapes exposition endpoints found by static lists, file_sd and http_sd."""
