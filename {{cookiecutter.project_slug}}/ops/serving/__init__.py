"""Answers to new rows: a file scored by `ml predict`."""
