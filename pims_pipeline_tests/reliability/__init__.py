"""The whole pipeline against a vendor that misbehaves: real HTTP, real PostgreSQL, an oracle."""
