"""What `python -m pipeline.drift`, `ingest` and `trigger` need: batches, what moved, answers."""
