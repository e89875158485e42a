"""A pretend IDEXX Neo over real HTTP. Imports nothing of the rest of the package."""
