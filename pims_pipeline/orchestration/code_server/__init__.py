"""The process that loads the code location, and those in which it starts runs."""
