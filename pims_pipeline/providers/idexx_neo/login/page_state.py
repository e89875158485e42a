"""What a page of the vendor's login shows, and what its texts mean.

Reading only: one bounded script reads everything from the page. Add a page that needs a person
to ``_HUMAN_PAGES``. The form's fields are filled in by ``form``; ``verdict`` draws conclusions.
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.async_api import Frame, Page

_MAX_TEXT = 20_000
_MAX_FRAMES = 10
_READ_PAGE = r"""
limit => {
  const shown = e => {
    const box = e.getBoundingClientRect();
    return box.width > 0 && box.height > 0 && e.checkVisibility({visibilityProperty: true});
  };
  const roots = [document];
  for (let i = 0; i < roots.length && i < 100; i++)
    for (const each of roots[i].querySelectorAll('*'))
      if (each.shadowRoot) roots.push(each.shadowRoot);
  const all = selector => roots.flatMap(root => [...root.querySelectorAll(selector)]).filter(shown);
  const text = root => root === document ? (document.body ? document.body.innerText : '')
    : [...root.children].map(each => each.innerText || '').join('\n');
  const texts = selector => all(selector).map(each => each.innerText.trim()).filter(Boolean)
    .slice(0, 20).map(each => each.slice(0, 1000));
  const puzzles = "iframe[src*='captcha' i], iframe[src*='challenges.cloudflare.com'], " +
    ".g-recaptcha, .h-captcha, .cf-turnstile, input[name*='captcha' i]";
  return {
    title: document.title.slice(0, 500),
    text: roots.map(text).join('\n').slice(0, limit),
    headings: all('h1, h2').map(each => each.innerText).join('\n').slice(0, 2000),
    errors: texts(".error-message, .alert-danger"),
    messages: texts(".error-message, .alert-danger, [role='alert'], .alert-error, " +
      ".invalid-feedback"),
    passwords: all("input[type='password']").length,
    codes: all("input[name='code'], input[name='otp'], input[name='mfa_code'], " +
      "input[autocomplete='one-time-code']").length,
    puzzle: all(puzzles).some(each => !each.closest('.grecaptcha-badge')
      && (each.localName !== 'iframe' || each.getBoundingClientRect().height >= 40)),
    complete: document.readyState === 'complete' && !document.querySelector(
      "meta[http-equiv='refresh' i]"),
    alive: document.scripts.length > 0 || document.querySelector('iframe') !== null,
  };
}
"""


@dataclass(frozen=True, slots=True)
class HumanPage:
    """A page that only a person can pass.

    Attributes:
        sign: A pattern of its text.
        asks: What it asks, after "the vendor …".
        remedy: What a person does about it, without a full stop.
    """

    sign: re.Pattern[str]
    asks: str
    remedy: str


def _human_page(sign: str, asks: str, remedy: str) -> HumanPage:
    return HumanPage(re.compile(sign, re.IGNORECASE | re.DOTALL), asks, remedy)


LOCKED = _human_page(
    r"account (?:is|was|has been) (?:temporarily )?(?:locked|disabled|suspended|blocked)"
    r"|locked out|too many (?:failed )?(?:log-?in |sign-?in )?attempts",
    "says that the account is locked",
    "Unlock it with the vendor",
)
CODE = _human_page(
    r"(?:verification|security|one-time|6-digit|authentication) code",
    "asks for a one-time code",
    "Turn codes off for this account",
)
EXPIRED = _human_page(
    r"password (?:has |is |was )?(?:been )?(?:expired|out of date|too old)|expired password"
    r"|(?:change|update|reset|renew) (?:your|the) password|(?:choose|set|create) a new password",
    "asks to change the password",
    "Change it at the vendor and store it with `pims credentials set`",
)
CAPTCHA = _human_page(
    r"\bcaptcha\b|(?:you are|you're) (?:not a robot|human)",
    "asks to solve a captcha",
    "Log in there in a browser",
)
_TERMS = _human_page(
    r"terms (?:of|and)\b.*\baccept|accept .*\bterms\b",
    "asks to accept its terms",
    "Accept them in a browser",
)
_LOCATION = _human_page(
    r"(?:choose|select|pick|which) (?:a |an |the |your )?(?:\w+ )?"
    r"(?:location|practice|clinic|site|hospital|branch|workspace|organi[sz]ation)s?\b",
    "asks to choose a location",
    "Give the pipeline an account of one location, or set the account's own at the vendor",
)
_DEVICE = _human_page(
    r"(?:remember|trust|recogni[sz]e|register) (?:this|your|the) (?:device|browser|computer)"
    r"|new device",
    "asks whether to remember this device",
    "Turn that off for this account",
)
_HUMAN_PAGES = (LOCKED, CODE, EXPIRED, CAPTCHA, _TERMS, _LOCATION, _DEVICE)

HAS_EXPIRED = re.compile(
    r"password[^.!?]{0,30}\bexpired|expired password|must (?:change|reset) your password",
    re.IGNORECASE,
)
"""A message that the right password is too old; one about a wrong one may offer a new one too."""
PASSING = re.compile(
    r"maintenance|(?:temporarily|currently) (?:unavailable|down|offline)|try again later"
    r"|(?:be|we're|we are) (?:right |back )?back (?:soon|shortly|later)"
    r"|something went wrong|(?:internal|server|unexpected) error|timed? ?out|bad gateway"
    r"|out of date",
    re.IGNORECASE,
)
"""A message or heading of a transient fault."""

_WHAT = r"(?:password|user ?name|user ?id|e-?mail|company(?: id)?|credentials|log-?in details?)"
_IS_WRONG = (
    r"(?:incorrect|invalid|wrong|unknown|not (?:recogni[sz]ed|valid|found|correct|exist)"
    r"|unrecogni[sz]ed|(?:do(?:es)?(?: not|n't|n’t)) (?:match|exist))"
)
REFUSED = re.compile(
    rf"{_WHAT}[^.!?]{{0,60}}\b{_IS_WRONG}|\b{_IS_WRONG}[^.!?]{{0,40}}{_WHAT}"
    r"|(?:could not|couldn't|can't|cannot) find (?:your|an|that) account",
    re.IGNORECASE,
)
"""A message that user name, password or company id is wrong."""
DENIED = re.compile(
    r"(?:log-?in|sign-?in|authentication) (?:failed|unsuccessful|denied|incorrect)|access denied"
    r"|unable to (?:log|sign) (?:you )?in|\bwrong\b|\bincorrect\b",
    re.IGNORECASE,
)
"""Vaguer words of a refusal, which count when nothing says that the fault is transient."""
OTHER = re.compile(
    r"subscription|licen[cs]e|javascript|cookie|browser|location|permission|authori[sz]ed|\bterms\b"
    r"|\bcode\b|\bmaintain|\bdevice|\bcontact\b",
    re.IGNORECASE,
)
"""Words of a message about something other than user name and password."""


@dataclass(frozen=True, slots=True)
class PageState:
    """What a page showed at one moment, without its hidden parts.

    Attributes:
        text: The text that is shown, at most 20,000 characters.
        errors: Texts where this vendor puts the reason of a failed login.
        messages: The same, and texts where vendors in general put messages.
        passwords: How many password fields there are.
        wants_code: Whether there is a field for a one-time code.
        has_puzzle: Whether there is a captcha to solve.
        complete: Whether it is loaded, and does not announce another page.
        alive: Whether a script or an inner frame may still change it.
    """

    url: str
    title: str
    text: str
    headings: str
    errors: tuple[str, ...]
    messages: tuple[str, ...]
    passwords: int
    wants_code: bool
    has_puzzle: bool
    complete: bool
    alive: bool

    @property
    def path(self) -> tuple[str, ...]:
        """The parts of the address's path, in small letters."""
        return tuple(part for part in urlsplit(self.url).path.lower().split("/") if part)

    @property
    def on_login_page(self) -> bool:
        """Whether its address is that of the login, or below it."""
        return "login" in self.path

    @property
    def fingerprint(self) -> tuple[object, ...]:
        """Equal for two states of a page on which nothing but a clock changes."""
        return (self.url, re.sub(r"\d+", "0", self.text), self.passwords, self.messages)

    @property
    def names_maintenance(self) -> bool:
        """Whether its title or headings say that the vendor is under maintenance."""
        return PASSING.search(f"{self.title}\n{self.headings}") is not None


def known_human_page(state: PageState) -> HumanPage | None:
    """The known page for a person that this is, if any; title and headings come first."""
    for text in (f"{state.title}\n{state.headings}", "\n".join(state.messages), state.text):
        for page in _HUMAN_PAGES:
            if page.sign.search(text):
                return page
    return None


async def read_page(page: "Page") -> PageState:
    """What ``page`` shows, inner frames of the same site included.

    Raises:
        playwright.async_api.Error: If it is leaving for another page, or is closed.
    """
    from playwright.async_api import Error  # noqa: PLC0415 - see chromium

    found = await page.main_frame.evaluate(_READ_PAGE, _MAX_TEXT)
    inner = []
    for frame in own_frames(page)[1:]:
        try:
            inner.append(await frame.evaluate(_READ_PAGE, _MAX_TEXT))
        except Error:
            continue  # it is leaving; the next reading sees its successor
    return _page_state(page.url, found, inner)


def own_frames(page: "Page") -> list["Frame"]:
    """The page's main frame and the inner ones of its own site, at most ten."""
    main = page.main_frame
    inner = [
        frame
        for frame in page.frames
        if frame is not main
        and not frame.is_detached()
        and (urlsplit(frame.url).scheme == "about" or is_same_site(page.url, frame.url))
    ]
    return [main, *inner[: _MAX_FRAMES - 1]]


def is_same_site(ours: str, other: str) -> bool:
    """Whether ``other`` has the host and port of ``ours``, and is no less encrypted."""
    here, there = urlsplit(ours), urlsplit(other)
    if here.hostname is None or here.hostname != there.hostname:
        return False
    if here.scheme == there.scheme:
        return _port(here) == _port(there)
    return (here.scheme, there.scheme) == ("http", "https") and here.port is there.port is None


def _port(address: Any) -> int | None:
    return address.port or {"http": 80, "https": 443}.get(address.scheme)


def _page_state(url: str, main: dict[str, Any], inner: list[dict[str, Any]]) -> PageState:
    every = [main, *inner]
    return PageState(
        url=url,
        title=main["title"],
        text="\n".join(each["text"] for each in every)[:_MAX_TEXT],
        headings="\n".join(each["headings"] for each in every),
        errors=tuple(message for each in every for message in each["errors"]),
        messages=tuple(message for each in every for message in each["messages"]),
        passwords=sum(each["passwords"] for each in every),
        wants_code=any(each["codes"] for each in every),
        has_puzzle=any(each["puzzle"] for each in every),
        complete=all(each["complete"] for each in every),
        alive=main["alive"],
    )
