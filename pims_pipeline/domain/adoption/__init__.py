"""What an adoption decides: identities, what is imported, what differs. Pure."""
