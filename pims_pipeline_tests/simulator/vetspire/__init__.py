"""The simulated Vetspire."""
