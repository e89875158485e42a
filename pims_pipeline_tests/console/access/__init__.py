"""Who may use the console: signing in, identity proxies, and who tries passwords."""
