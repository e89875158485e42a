"""IDEXX Neo as the simulator plays it: its login, its pages, its JSON."""
