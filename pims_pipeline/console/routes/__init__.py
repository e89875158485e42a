"""The pages: one module for each subject. What a page shows comes from ``operations``."""
