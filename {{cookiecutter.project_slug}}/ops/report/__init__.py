"""What a pull request changes, as its comment reports it."""
