"""The asset checks: of what the phases stored, and of how late they are."""
