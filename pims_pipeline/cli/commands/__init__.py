"""The commands, one module per noun. Add a command here and in ``cli/main.py``."""
