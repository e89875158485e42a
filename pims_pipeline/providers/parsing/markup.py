"""Vendor HTML to plain text that keeps its lines. Pure; knows no field of the vendor's.

nh3 (the ammonia sanitizer, an HTML5 parser) repairs the markup and removes scripts; the standard
library's parser then walks the clean result. Both are needed: nh3 gives no line breaks, and
``html.parser`` trusts broken markup.

Time and memory grow linearly with the length of the text, which is limited. An HTML5 parser is
quadratic in the depth of nested elements, so markup that is nested too deeply loses its tags
before it is parsed, but no words.
"""

import re
from html.parser import HTMLParser

import nh3

from pims_pipeline.providers.parsing.fields import storable

MAX_MARKUP = 1_000_000
"""Characters that are parsed, without long attributes; the rest is cut off."""
MAX_RAW_MARKUP = 4 * MAX_MARKUP
"""Characters that are read: an image inside the notes may take most of them."""
MAX_TEXT = 100_000
"""Characters of plain text that are kept: about forty printed pages."""
CUT_MARK = "[… cut off here: the text at the vendor is longer]"
"""The last line of a text that was cut off."""

_DEEPEST_NESTING = 200
_MAX_OPEN_INLINE = 16
_BLOCK_NAMES = (
    "address article aside blockquote caption center dd details div dl dt figcaption figure "
    "footer h1 h2 h3 h4 h5 h6 header hr li main nav ol p pre section summary table tbody tfoot "
    "thead tr ul"
)
_DROPPED_NAMES = "head iframe math noembed noframes noscript object script style svg template title"
_INLINE_NAMES = (
    "a abbr b big body br code del em font i ins mark nobr s small span strike strong sub sup tt u"
)
_VOID_NAMES = "br hr img input link meta wbr"
_BLOCKS = frozenset(_BLOCK_NAMES.split())
_CELLS = frozenset({"td", "th"})
_DROPPED_WITH_CONTENT = frozenset(_DROPPED_NAMES.split())
_INLINE = frozenset(_INLINE_NAMES.split())
_VOID = frozenset(_VOID_NAMES.split())
_KNOWN_TAGS = "|".join(sorted(_BLOCKS | _CELLS | _DROPPED_WITH_CONTENT | _INLINE))
_LOOKS_LIKE_HTML = re.compile(
    rf"</?(?:{_KNOWN_TAGS})(?:[\s/][^<>]*)?>|&(?:#\d+|#x[0-9a-f]+|[a-z][a-z0-9]+);",
    re.IGNORECASE,
)
# Each "<" is read once, up to the next bracket: linear for any text.
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)[^<>]*>")
_LONG_TAG = re.compile(r"<([a-zA-Z][a-zA-Z0-9]*)[\s/][^<>]{200,}>")
_MANY_BREAKS = re.compile(r"(?:<br>\s*){3,}")
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
        self._pieces: list[str] = []
        self._line_is_blank = True
        self._inside_pre = 0

    def handle_starttag(
        self,
        tag: str,
        attrs: list[tuple[str, str | None]],  # noqa: ARG002 - the base class's signature
    ) -> None:
        if tag == "br":
            self._break_line()
        elif tag in _BLOCKS:
            self._end_line()
        self._inside_pre += tag == "pre"

    def handle_endtag(self, tag: str) -> None:
        if tag in _CELLS:
            self._pieces.append(" ")
        elif tag in _BLOCKS:
            self._end_line()
        self._inside_pre -= tag == "pre"

    def handle_data(self, data: str) -> None:
        if not self._inside_pre:
            self._add(_SPACES.sub(" ", data))
            return
        first, *rest = data.split("\n")
        self._add(first)
        for line in rest:
            self._break_line()
            self._add(line)

    def _add(self, words: str) -> None:
        self._pieces.append(words)
        self._line_is_blank = self._line_is_blank and not words.strip()

    def _break_line(self) -> None:
        self._pieces.append("\n")
        self._line_is_blank = True

    def _end_line(self) -> None:
        if not self._line_is_blank:
            self._break_line()

    def text(self) -> str:
        lines = (_SPACES.sub(" ", line).strip() for line in "".join(self._pieces).split("\n"))
        return _MANY_BLANK_LINES.sub("\n\n", "\n".join(lines))


def plain_text(markup: str) -> str | None:
    """The words of ``markup``, one line for each paragraph, item, row or line break.

    Text without any known tag or entity is no HTML and keeps its own lines, so that
    "weight < 5 kg" and "temp <baseline" are kept. None when no word is left. A text that is
    too long is cut off and ends in ``CUT_MARK``; see ``was_cut``.
    """
    cleaned = storable(markup[:MAX_RAW_MARKUP])
    too_long = len(markup) > MAX_RAW_MARKUP
    text = cleaned
    if _LOOKS_LIKE_HTML.search(cleaned):
        shallow = _shallow(_LONG_TAG.sub(r"<\1>", cleaned))
        too_long = too_long or len(shallow) > MAX_MARKUP
        collector = _TextCollector()
        collector.feed(_CLEANER.clean(shallow[:MAX_MARKUP]))
        collector.close()
        text = storable(collector.text())
    if too_long or len(text) > MAX_TEXT:
        return f"{text[:MAX_TEXT].rstrip()}\n{CUT_MARK}".lstrip()
    return text or None


def was_cut(text: str | None) -> bool:
    """Whether ``plain_text`` cut off the end of the vendor's text."""
    return text is not None and text.endswith(CUT_MARK)


def _shallow(markup: str) -> str:
    """``markup`` unchanged, or without its tags where they are nested too deeply.

    A block's tag then becomes a line break. Scripts and other contents that are removed later keep
    their tags.
    """
    deepest = {False: 0, True: 0}
    open_now = {False: 0, True: 0}
    for closing, name in _TAG.findall(markup):
        word = name.lower()
        if word in _VOID:
            continue
        inline = word in _INLINE
        open_now[inline] = max(open_now[inline] + (-1 if closing else 1), 0)
        deepest[inline] = max(deepest[inline], open_now[inline])
    if deepest[False] <= _DEEPEST_NESTING and deepest[True] <= _MAX_OPEN_INLINE:
        return markup
    return _MANY_BREAKS.sub("<br><br>", _TAG.sub(_without_nesting, markup))


def _without_nesting(tag: re.Match[str]) -> str:
    name = tag[2].lower()
    if name in _DROPPED_WITH_CONTENT:
        return tag[0]
    return "<br>" if name in _BLOCKS or name in _VOID else ""
