"""What a pull request changes, as its comment tells it."""
