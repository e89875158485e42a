"""The console: signing in, what an operator sees, and its pages in a browser."""
