"""The adapter to Vetspire."""
