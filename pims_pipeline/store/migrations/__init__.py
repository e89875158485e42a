"""How the tables came to be: Alembic revisions and the environment that runs them."""
