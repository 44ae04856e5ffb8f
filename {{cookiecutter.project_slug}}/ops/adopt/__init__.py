"""Other data: the YAML files written to fit it."""
