"""Cases: reading and writing their rows, their ``metadata``, and their events."""
