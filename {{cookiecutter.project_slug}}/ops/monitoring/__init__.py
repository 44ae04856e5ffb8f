"""New batches, drift, and whether it is time to retrain."""
