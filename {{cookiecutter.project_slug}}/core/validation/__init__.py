"""The data contract: read, checked fast, drift measured, findings shown."""
