"""Reading and writing the terminal: options, tables, progress, errors, interrupts."""
