"""The port to practice management systems, and one adapter per vendor."""
