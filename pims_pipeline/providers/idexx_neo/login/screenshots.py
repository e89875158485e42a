"""Screenshots of failed logins, masked and kept as files, for the operator who looks for the cause.

A page after a login may show personal data. So before the screenshot its scripts are stopped, every
word but those of ``page_words`` is masked, and fields and images are emptied. A page that cannot
be masked gets no screenshot.
"""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pims_pipeline.providers.idexx_neo.login.page_words import WORDS

if TYPE_CHECKING:
    from playwright.async_api import Page

MAX_KEPT = 20
_TIMEOUT_MS = 2_000.0
_EVERY_FIELD = "input, textarea, select"
_STYLE = """
  input, textarea, select, option, [contenteditable] {
    color: transparent !important; -webkit-text-fill-color: transparent !important;
    text-shadow: none !important;
  }
  select { width: 8em !important }
  ::placeholder { color: transparent !important; -webkit-text-fill-color: transparent !important }
  *, ::before, ::after { background-image: none !important }
  ::before, ::after { content: none !important }
  img, picture, video, canvas, object, embed, svg image { visibility: hidden !important }
  li::marker { content: none !important }
"""
_MASK = r"""
([words, style]) => {
  const known = new Set(words);
  const roots = [document];
  for (let i = 0; i < roots.length; i++)
    for (const each of roots[i].querySelectorAll('*'))
      if (each.shadowRoot) roots.push(each.shadowRoot);
  const shown = word => known.has(word.toLowerCase().replace('’', "'"));
  for (const root of roots) {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      const above = node.parentElement && node.parentElement.localName;
      if (above === 'style' || above === 'script' || !node.data.trim()) continue;
      node.data = node.data.replace(/[^\s.,:;!?()…-]+/g, word => shown(word) ? word : '■■■');
    }
    // Unlike an element of the page, it applies whatever the page's own policy forbids.
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(style);
    root.adoptedStyleSheets = [...root.adoptedStyleSheets, sheet];
  }
}
"""


async def masked_picture(page: "Page") -> bytes:
    """A PNG of ``page`` without typed text, images, or words that are not known to be harmless.

    Raises:
        playwright.async_api.Error: If the page cannot be pictured.
    """
    # A script that draws the page again would undo the mask.
    session = await page.context.new_cdp_session(page)
    await session.send("Emulation.setScriptExecutionDisabled", {"value": True})
    for frame in page.frames:
        await frame.evaluate(_MASK, [sorted(WORDS), _STYLE])
    return await page.screenshot(mask=[page.locator(_EVERY_FIELD)], timeout=_TIMEOUT_MS)


def keep_screenshot(picture: bytes, *, directory: Path, subject: str, taken_at: datetime) -> Path:
    """Write ``picture``, readable by its owner alone; delete the oldest beyond 20.

    Args:
        picture: From ``masked_picture``.
        directory: Created if it is missing.
        subject: A clinic's slug or a host name, for the file's name.
        taken_at: Aware; goes into the file's name, in UTC.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    moment = taken_at.astimezone(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    path = directory / f"login-{subject}-{moment}.png"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(picture)
    for old in _oldest_first(directory)[:-MAX_KEPT]:
        old.unlink(missing_ok=True)
    return path


def _oldest_first(directory: Path) -> list[Path]:
    return sorted(directory.glob("login-*.png"), key=lambda path: path.name.rsplit("-", 1)[-1])
