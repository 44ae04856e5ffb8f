"""What `python -m pipeline.gate` needs: limits, evidence, the model before, intervals."""
