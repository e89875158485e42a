"""What to take over from a v4.0 installation, and how the two differ. Pure."""
