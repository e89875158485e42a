"""Read models: what people, the API and metrics ask of the store. Nothing here writes."""
