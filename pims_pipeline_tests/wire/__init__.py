"""The models of JSON: what they write, and what they refuse."""
