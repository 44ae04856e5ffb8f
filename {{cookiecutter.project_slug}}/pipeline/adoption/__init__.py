"""What `python -m pipeline.adopt` needs: reading a table, guessing its contract, editing YAML."""
