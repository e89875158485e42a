"""The data platform of a group of clinics that does not exist."""
