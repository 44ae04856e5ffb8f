"""What `python -m pipeline.registry` needs: versions, lineage, verification."""
