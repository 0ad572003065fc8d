"""Configurations of other systems as files of ours, with a report of what did not fit. Pure: texts in, texts out."""
