"""How the tests differ between the vendors: one module for each."""
