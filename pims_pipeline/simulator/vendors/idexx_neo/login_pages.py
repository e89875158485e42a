"""The shapes that a login page may have: what stands around the form, and where it is drawn.

HTML and scripts only. What sending the form leads to is ``login``'s, and the pages after a
right password are ``login_steps``'s.
"""

import html
from typing import Literal

LoginPage = Literal[
    "plain",
    "cookie_banner",
    "cookie_wall",
    "other_forms",
    "inner_page",
    "shadow",
    "two_steps",
    "slow",
    "new_tab",
    "alert",
    "guest",
    "script_error",
    "captcha",
    "other_site",
    "elsewhere",
    "file",
    "basic_auth",
]
"""What the login page is like before anybody has logged in."""

_STYLE = """
:root { color-scheme: light; font-family: system-ui, sans-serif; }
body { background: #eef3f5; color: #16303b; margin: 0; display: grid; place-items: center;
  min-height: 100vh; }
main { background: #fff; padding: 2rem 2.5rem; border-radius: .75rem; width: 20rem;
  box-shadow: 0 2px 16px #0b2a3622; }
h1 { font-size: 1.25rem; margin: 0 0 1rem; }
label { display: block; margin: .75rem 0 .25rem; font-weight: 600; }
input { box-sizing: border-box; width: 100%; padding: .5rem; font: inherit;
  border: 1px solid #6d8793; border-radius: .375rem; }
input[type=checkbox], input[type=radio] { width: auto; }
button { margin-top: 1.25rem; width: 100%; padding: .6rem; font: inherit; font-weight: 600;
  color: #fff; background: #0b6075; border: 0; border-radius: .375rem; cursor: pointer; }
:focus-visible { outline: 3px solid #e0a100; outline-offset: 2px; }
.error-message { color: #8c1c13; background: #fdecea; padding: .5rem .75rem;
  border-radius: .375rem; }
.over-all { position: fixed; inset: 0; background: #0b2a36cc; color: #fff; padding: 3rem; }
iframe { border: 0; width: 100%; height: 28rem; }
"""

_DRAW_FORM = """
const root = document.getElementById('login-root');
const shape = root.dataset.shape;
const field = (name, label, type, autocomplete) => {
  const tag = document.createElement('label');
  tag.htmlFor = 'login-' + name;
  tag.textContent = label;
  const input = document.createElement('input');
  Object.assign(input, {id: 'login-' + name, name, type, autocomplete, required: true});
  return [tag, input];
};
const who = () => [...field('company_id', 'Company ID', 'text', 'organization'),
  ...field('username', 'User name', 'text', 'username')];
const secret = () => field('password', 'Password', 'password', 'current-password');
const hidden = (name, value) => Object.assign(
  document.createElement('input'), {type: 'hidden', name, value});
const button = text => Object.assign(
  document.createElement('button'), {type: 'submit', textContent: text});
const draw = () => {
  const form = document.createElement('form');
  form.method = 'post';
  form.action = '/login';
  if (shape === 'inner_page') form.target = '_top';
  if (shape === 'new_tab') form.target = '_blank';
  if (shape === 'alert') alert('Welcome back!');
  if (shape === 'script_error') throw new Error('the form cannot be drawn');
  const token = hidden('csrf_token', root.dataset.token);
  if (shape === 'two_steps') {
    form.append(...who(), token, button('Next'));
    const next = event => {
      event.preventDefault();
      form.removeEventListener('submit', next);
      const [company, user] = [form.company_id.value, form.username.value];
      setTimeout(() => form.replaceChildren(hidden('company_id', company),
        hidden('username', user), ...secret(), token, button('Sign in')), 60);
    };
    form.addEventListener('submit', next);
  } else form.append(...who(), ...secret(), token, button('Sign in'));
  if (shape === 'shadow') root.attachShadow({mode: 'open'}).append(form);
  else root.replaceChildren(form);
};
window.addEventListener('load', () => setTimeout(draw, shape === 'slow' ? 1000 : 120));
"""

_BEFORE = {
    "cookie_banner": '<div class="over-all" id="banner"><p>We use cookies.</p>'
    '<button type="button" '
    "onclick=\"document.getElementById('banner').remove()\">Accept all</button></div>",
    "cookie_wall": '<div class="over-all"><p>We use cookies to make this page better.</p></div>',
    "other_forms": '<form action="/search"><input type="search" name="q"><button>Search</button>'
    '</form><form action="/newsletter"><label>Our newsletter<input type="email" name="email">'
    '</label><button type="submit">Subscribe</button></form>'
    '<form action="/register" method="post"><input type="email" name="email">'
    '<input type="password" name="password"><input type="password" name="repeated">'
    '<button type="submit">Open an account</button></form>',
    "captcha": '<div class="g-recaptcha" style="width:300px;height:78px">I am not a robot</div>',
}


def login_page(token: str, error: str | None = None, shape: LoginPage = "plain") -> str:
    """The login page; its form appears only once its script has run."""
    if shape == "other_site":
        return page("Parked", "<p>This address is for sale.</p>")
    if shape == "inner_page":
        return page("Sign in", f'{_message(error)}<iframe src="/login/form"></iframe>')
    return form_page(token, error, shape)


def form_page(token: str, error: str | None, shape: LoginPage) -> str:
    """The page that draws the form itself."""
    return page(
        "Sign in",
        f'{_message(error)}{_BEFORE.get(shape, "")}<div id="login-root" data-shape="{shape}" '
        f'data-token="{html.escape(token)}"><noscript>Signing in needs JavaScript.</noscript></div>'
        f"<script>{_DRAW_FORM}</script>",
    )


def _message(error: str | None) -> str:
    return f'<p class="error-message" role="alert">{html.escape(error)}</p>' if error else ""


def page(title: str, body: str) -> str:
    """A page of the login, in its style."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title} - Neo simulator'
        '</title><meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f"<style>{_STYLE}</style></head><body><main><h1>{title}</h1>{body}</main></body></html>"
    )
