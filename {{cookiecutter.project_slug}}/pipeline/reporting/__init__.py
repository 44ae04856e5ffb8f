"""What `python -m pipeline.report` needs: facts, tables, charts, the page."""
