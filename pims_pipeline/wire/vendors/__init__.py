"""What concerns vendors: the installed providers, and what was seen to be sent."""
