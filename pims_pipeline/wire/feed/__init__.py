"""Changes of cases, as the feed shows them and as webhooks get them."""
