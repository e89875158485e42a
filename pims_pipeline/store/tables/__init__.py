"""The tables as SQLAlchemy Core metadata, one module per area; ``all`` knows every table."""
