"""Reads the forms that the simulator's pages send."""

from urllib.parse import parse_qs

from fastapi import Request


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a URL-encoded form; a field sent twice keeps its last value."""
    text = (await request.body()).decode("utf-8", "replace")
    return {name: values[-1] for name, values in parse_qs(text, keep_blank_values=True).items()}
