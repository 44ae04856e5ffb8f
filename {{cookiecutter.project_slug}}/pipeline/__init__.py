"""One tabular model, declared in YAML, run by DVC: a module for every verb."""
