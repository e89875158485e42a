"""The vendors of the built-in providers, played by the simulator."""
