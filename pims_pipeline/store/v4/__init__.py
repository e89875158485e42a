"""Their tables: reading a v4.0 installation. Every statement names their schema."""
