"""What is installed for vendors: their providers."""
