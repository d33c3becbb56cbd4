"""What the certificates compute with: operators, brackets and processes that no method uses."""
