"""The definitions of the project, which `dg` loads from files and folders here."""
