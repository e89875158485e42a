"""Who uses the console, and which requests come from its own pages."""
