"""Vendor HTML to plain text that keeps its lines. Pure; knows no field of the vendor's.

nh3 (the ammonia sanitizer, a real HTML5 parser) repairs the markup and throws out
scripts and the like; the standard library's parser then walks the tidy rest. Neither
alone will do: nh3 gives no line breaks, and ``html.parser`` trusts broken markup.
"""

import re
from html.parser import HTMLParser

import nh3

from pims_pipeline.providers.idexx_neo.fields import storable

_BLOCK_NAMES = (
    "address article aside blockquote caption center dd details div dl dt figcaption figure "
    "footer h1 h2 h3 h4 h5 h6 header hr li main nav ol p pre section summary table tbody tfoot "
    "thead tr ul"
)
_DROPPED_NAMES = "head iframe math noembed noframes noscript object script style svg template title"
_INLINE_NAMES = "a abbr b big body br code del em font i ins mark s small span strong sub sup u"
_BLOCKS = frozenset(_BLOCK_NAMES.split())
_CELLS = frozenset({"td", "th"})
_DROPPED_WITH_CONTENT = frozenset(_DROPPED_NAMES.split())
_INLINE = frozenset(_INLINE_NAMES.split())
_KNOWN_TAGS = "|".join(sorted(_BLOCKS | _CELLS | _DROPPED_WITH_CONTENT | _INLINE))
_LOOKS_LIKE_HTML = re.compile(
    rf"</?(?:{_KNOWN_TAGS})(?:[\s/][^<>]*)?>|&(?:#\d+|#x[0-9a-f]+|[a-z][a-z0-9]+);",
    re.IGNORECASE,
)
_CLEANER = nh3.Cleaner(
    tags=_BLOCKS | _CELLS | {"br"},
    clean_content_tags=_DROPPED_WITH_CONTENT,
    attributes={},
    link_rel=None,
)
_SPACES = re.compile(r"\s+")
_MANY_BLANK_LINES = re.compile(r"\n{3,}")


class _TextCollector(HTMLParser):
    """Collects text; a block or a row is a line, a cell ends in a space."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._lines: list[str] = [""]
        self._inside_pre = 0

    def handle_starttag(
        self,
        tag: str,
        attrs: list[tuple[str, str | None]],  # noqa: ARG002 - the base class's signature
    ) -> None:
        if tag == "br":
            self._lines.append("")
        elif tag in _BLOCKS:
            self._end_line()
        self._inside_pre += tag == "pre"

    def handle_endtag(self, tag: str) -> None:
        if tag in _CELLS:
            self._lines[-1] += " "
        elif tag in _BLOCKS:
            self._end_line()
        self._inside_pre -= tag == "pre"

    def handle_data(self, data: str) -> None:
        if self._inside_pre:
            first, *rest = data.split("\n")
            self._lines[-1] += first
            self._lines += rest
        else:
            self._lines[-1] += _SPACES.sub(" ", data)

    def _end_line(self) -> None:
        if self._lines[-1].strip():
            self._lines.append("")

    def text(self) -> str:
        lines = (_SPACES.sub(" ", line).strip() for line in self._lines)
        return _MANY_BLANK_LINES.sub("\n\n", "\n".join(lines))


def plain_text(markup: str) -> str | None:
    """The words of ``markup``, one line for each paragraph, item, row or line break.

    Text without any known tag or entity is no HTML and keeps its own lines, so that
    "weight < 5 kg" and "temp <baseline" survive. None when no word is left.
    """
    cleaned = storable(markup)
    if not _LOOKS_LIKE_HTML.search(cleaned):
        return cleaned or None
    collector = _TextCollector()
    collector.feed(_CLEANER.clean(cleaned))
    collector.close()
    return storable(collector.text()) or None
