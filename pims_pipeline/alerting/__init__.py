"""Alerts: which are open, what their messages say, and how they are delivered."""
