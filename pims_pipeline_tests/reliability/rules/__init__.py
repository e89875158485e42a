"""What may happen in a clinic's life, as rules of a state machine, by who acts."""
