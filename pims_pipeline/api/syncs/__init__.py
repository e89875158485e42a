"""Starting a sync, and its state until it ends."""
