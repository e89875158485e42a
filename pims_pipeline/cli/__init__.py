"""The `pims` command, one file per noun."""
