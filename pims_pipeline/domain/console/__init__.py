"""What the operators of the console may do, and what its plots count."""
