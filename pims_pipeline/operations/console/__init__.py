"""What the console's pages show: read with an operator's view, which sees no other clinics."""
