"""From a request for a sync to its run, and what a client sees of it until it ends."""
