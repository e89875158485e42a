"""What an operator sets up, decides and looks at. Each function opens its own transaction."""
