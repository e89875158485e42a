"""The login form on the vendor's page: finding it, filling it in, sending it.

The form is what holds the password field, wherever that is: in an inner frame of the same site, in
a shadow tree, or in no form element at all. User name and company id are looked for inside it, so
that a search or a newsletter is never taken for the login. Selectors belong here and in
``page_state`` only.
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pims_pipeline.providers.idexx_neo.login.page_state import own_frames
from pims_pipeline.providers.port import Credentials

if TYPE_CHECKING:
    from playwright.async_api import Frame, Locator, Page

_PASSWORD = 'input[type="password"]'  # noqa: S105 - a selector
_COMPANY = 'input[name="company_id"], input[name="companyId"], input[name*="company" i]'
_NO_COMPANY = ':not([name*="company" i])'
_USER = (
    'input[name="username"], input[autocomplete~="username"]',
    'input[type="email"], input[name="email"]',
    'input[name*="user" i], input[id*="user" i], input[name*="login" i], input[name*="mail" i]',
    f'input:not([type]){_NO_COMPANY}, input[type="text"]{_NO_COMPANY}',
)
_FIRST_STEP = (
    'input[name="username"], input[autocomplete~="username"], input[name="identifier"], '
    'input[name="loginfmt"]'
)
_SUBMIT = 'button[type="submit"], input[type="submit"], button:not([type])'
_SIGN_IN = re.compile(r"^\s*(?:log|sign)[ -]?(?:in|on)\s*$", re.IGNORECASE)
_GO_ON = re.compile(r"^\s*(?:(?:log|sign)[ -]?(?:in|on)|continue|next|submit)\s*$", re.IGNORECASE)
_AROUND = "xpath=ancestor::*[.//input[not(@type) or @type='text' or @type='email']][1]"
_ACTION_MS = 5_000.0
_MAX_FORMS = 5

_IS_COVERED = """
e => {
  e.scrollIntoView({block: 'center'});
  const box = e.getBoundingClientRect();
  const top = e.getRootNode().elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
  return top !== null && !e.contains(top) && !top.contains(e) && !top.closest('label');
}
"""
_DISMISS = r"""
() => {
  const wishes = [/^(reject|decline|refuse|deny)|(necessary|essential|required) only|^only/i,
                  /^(accept|allow|agree|i agree|ok|okay|got it|close|dismiss|×|x)\b/i];
  const floats = each => ['fixed', 'absolute', 'sticky'].includes(getComputedStyle(each).position)
    || each.localName === 'dialog' || each.getAttribute('role') === 'dialog';
  const buttons = [...document.querySelectorAll("button, [role='button'], input[type='button']")];
  for (const wish of wishes)
    for (const button of buttons) {
      const label = (button.innerText || button.value || button.ariaLabel || '').trim();
      if (!wish.test(label) || !button.checkVisibility()) continue;
      for (let above = button.parentElement; above; above = above.parentElement)
        if (floats(above) && /cookie|consent|tracking/i.test(above.innerText)) {
          button.click();
          return;
        }
    }
}
"""


class NotFillable(Exception):
    """A field or the button of the form cannot be used. Never holds what was typed."""


@dataclass(frozen=True, slots=True)
class LoginForm:
    """The fields of one form; a missing one is None.

    Attributes:
        password: None on the first page of a login in two steps.
    """

    page: "Page"
    user: "Locator | None"
    company: "Locator | None"
    password: "Locator | None"
    button: "Locator | None"

    async def send(self, credentials: Credentials) -> None:
        """Fill in the fields and send the form once, closing a cookie banner that covers it.

        Raises:
            NotFillable: If a field or the button cannot be used.
        """
        from playwright.async_api import TimeoutError  # noqa: A004, PLC0415 - see chromium

        unusable = None
        try:
            if self.button is not None and await self.button.evaluate(_IS_COVERED):
                await self.page.evaluate(_DISMISS)
            await self._fill(self.company, credentials.get("company_id") or "", "company id")
            await self._fill(self.user, credentials["username"], "user name")
            await self._fill(self.password, credentials["password"], "password")
            await self._press()
        except TimeoutError:
            unusable = NotFillable("a field or the button of its form does not react")
        except NotFillable as error:
            unusable = error
        # Raised here, without Playwright's error as its context: those quote what is typed.
        if unusable is not None:
            raise NotFillable(str(unusable)) from None

    async def _fill(self, place: "Locator | None", text: str, name: str) -> None:
        from playwright.async_api import Error, TimeoutError  # noqa: A004, PLC0415 - see chromium

        if place is None or await place.input_value(timeout=_ACTION_MS) == text:
            return  # the second of two pages may show the user name read-only
        refused = False
        try:
            await place.fill(text, timeout=_ACTION_MS)
        except TimeoutError:
            raise
        except Error as error:
            refused = "Cannot type text" in str(error) or "not an <input>" in str(error)
            if not refused:
                raise
        if refused:
            raise NotFillable(f"the field of the {name} does not accept the stored value")

    async def _press(self) -> None:
        if self.button is None:
            last = self.password or self.user
            if last is not None:
                await last.press("Enter", timeout=_ACTION_MS)
        elif await self.button.evaluate(_IS_COVERED):
            # A real click would hit what covers it.
            await self.button.evaluate("e => e.click()", timeout=_ACTION_MS)
        else:
            await self.button.click(timeout=_ACTION_MS)


async def find_form(page: "Page") -> LoginForm | None:
    """The form with one visible password field; None while there is none.

    A form with two asks for a new password or a new account. Among several, one with a field for
    the user name wins.

    Raises:
        playwright.async_api.Error: If the page is leaving or closed.
    """
    spare = None
    for frame in own_frames(page):
        for scope in await _scopes(frame):
            password = _visible(scope, _PASSWORD)
            if await password.count() != 1:
                continue
            form = await _form(page, scope, password.first)
            if form.user is not None:
                return form
            spare = spare or form
    return spare


async def find_first_step(page: "Page") -> LoginForm | None:
    """A form that asks for the user name alone, as the first of two pages of a login.

    Its field must be named like one of a login, because newsletters ask for an e-mail address.
    """
    for frame in own_frames(page):
        forms = frame.locator("form").filter(has=frame.locator(_FIRST_STEP))
        for place in range(min(await forms.count(), _MAX_FORMS)):
            form = await _form(page, forms.nth(place), None)
            if form.user is not None:
                return form
    return None


async def _scopes(frame: "Frame") -> list["Locator"]:
    """The elements that hold the fields of a form with a password."""
    password = frame.locator(_PASSWORD)
    forms = frame.locator("form").filter(has=password)
    count = min(await forms.count(), _MAX_FORMS)
    if count:
        return [forms.nth(place) for place in range(count)]
    if await _visible(frame, _PASSWORD).count() != 1:
        return []
    around = _visible(frame, _PASSWORD).locator(_AROUND)
    return [around if await around.count() else frame.locator("body")]


async def _form(page: "Page", scope: "Locator", password: "Locator | None") -> LoginForm:
    user = None
    for selector in _USER:
        found = _visible(scope, selector)
        if await found.count():
            user = found.first
            break
    company = _visible(scope, _COMPANY)
    return LoginForm(
        page=page,
        user=user,
        company=company.first if await company.count() else None,
        password=password,
        button=await _button(scope),
    )


async def _button(scope: "Locator") -> "Locator | None":
    """The button that sends the form; of several, the one labelled so."""
    submits = _visible(scope, _SUBMIT)
    for choice in (
        submits.filter(has_text=_SIGN_IN),
        _visible(scope, 'button[type="submit"], input[type="submit"]'),
        submits,
        _visible(scope, "button, [role='button']").filter(has_text=_GO_ON),
    ):
        if await choice.count():
            return choice.first
    return None


def _visible(place: "Locator | Frame", selector: str) -> "Locator":
    return place.locator(selector).filter(visible=True)
