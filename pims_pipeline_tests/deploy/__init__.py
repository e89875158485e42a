"""The image and the composition of ``deploy/``."""
