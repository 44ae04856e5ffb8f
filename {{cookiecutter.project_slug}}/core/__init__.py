"""What the pipeline and its operations stand on: tables, the data contract, YAML, files, Git."""
