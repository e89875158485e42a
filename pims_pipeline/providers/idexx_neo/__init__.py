"""The IDEXX Neo adapter."""
