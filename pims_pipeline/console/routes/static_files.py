"""The style sheet and the scripts. Their addresses change with their contents."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from fastapi import APIRouter
from starlette.responses import FileResponse, Response

from pims_pipeline.console.errors import NotFound

router = APIRouter()

_FOLDER = Path(__file__).parents[1] / "static"
_TYPES: Mapping[str, str] = MappingProxyType(
    {"console.css": "text/css", "htmx.min.js": "text/javascript", "icon.svg": "image/svg+xml"}
)
_FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}


@router.get("/static/{name}")
async def static_file(name: str) -> Response:
    """Return a file of the console; anyone may read it."""
    if name not in _TYPES:
        raise NotFound("There is no such file.")
    return FileResponse(_FOLDER / name, media_type=_TYPES[name], headers=_FOREVER)
