"""The asset checks: proof, after a materialization, that what was stored is right."""
