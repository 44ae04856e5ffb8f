"""Versions of the model, the stages that they are in, and where they come from."""
