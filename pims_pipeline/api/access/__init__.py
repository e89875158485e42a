"""Who may call the API, how often, and under which names it is served."""
