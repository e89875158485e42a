"""The pure functions that decide what a phase writes. No I/O, no clock."""
