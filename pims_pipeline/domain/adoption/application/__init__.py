"""What is written to the rows of the application of a live clinic. Pure."""
