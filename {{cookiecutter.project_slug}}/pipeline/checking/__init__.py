"""What `python -m pipeline.doctor` needs: tools, Git, DVC's files, the storage."""
