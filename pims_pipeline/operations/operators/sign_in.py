"""Signing in and out of the console, as the API's role.

A sign-in has a random id of 256 bits, which the browser keeps in a cookie. The database knows its
SHA-256 alone. Signing in makes another id, so that none that a page planted is ever signed in.
"""

import hashlib
import hmac
import math
import secrets
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine

from pims_pipeline.domain.console.operators import (
    ATTEMPTS_PER_ADDRESS,
    ATTEMPTS_PER_OPERATOR,
    BadOperatorName,
    OperatorAction,
    OperatorRights,
    SignedInOperator,
    checked_name,
)
from pims_pipeline.operations.operators.passwords import is_password, place_in_line
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.database.tenancy import as_operator
from pims_pipeline.store.operators.log import Actor, note_action
from pims_pipeline.store.operators.sign_ins import (
    StoredLogin,
    close_sign_in,
    count_attempt,
    find_login,
    forget_attempts,
    open_sign_in,
    signed_in,
    signed_in_from,
)

_ID_BYTES = 32
_LONGEST_ID = 64


class SignInRefused(Exception):
    """Name or password is wrong; which of the two is not said."""


class UnknownProxyUser(Exception):
    """The identity proxy named someone who is no operator."""


class TooManyAttempts(Exception):
    """There were too many attempts for this operator, or from this address.

    Attributes:
        seconds: How long to wait.
    """

    def __init__(self, seconds: int) -> None:
        super().__init__("too many attempts")
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class NewSignIn:
    """A sign-in that was just opened.

    Attributes:
        id: What the browser keeps. A secret.
    """

    id: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class OperatorView:
    """What services of the console work with.

    Attributes:
        engine: Its transactions see the operator's clinics alone.
        actor: Who acts, for the log.
        rights: What the operator may do where.
        name: The operator's, as decisions record it.
    """

    engine: Engine = field(repr=False)
    actor: Actor
    rights: OperatorRights
    name: str


def operator_view(
    engine: Engine, sign_in_id: str, operator: SignedInOperator, *, address: str
) -> OperatorView:
    """The view of the operator of a sign-in. ``engine`` connects as the API does."""
    seen = as_operator(engine, hash_of_id(sign_in_id))
    return OperatorView(seen, Actor(operator.id, address), operator.rights, operator.name)


def hash_of_id(sign_in_id: str) -> str:
    """What the database knows of the id of a sign-in."""
    return hashlib.sha256(sign_in_id.encode("utf-8", "replace")).hexdigest()


def form_token(sign_in_id: str) -> str:
    """What the forms of a sign-in carry, so that no page of others can send one.

    It follows from the id and reveals nothing of it.
    """
    return hmac.new(sign_in_id.encode(), b"pims console form", hashlib.sha256).hexdigest()


def is_form_token(sign_in_id: str, sent: str) -> bool:
    """Whether a form carries the token of this sign-in; compared in constant time."""
    return hmac.compare_digest(form_token(sign_in_id).encode(), sent.encode("utf-8", "replace"))


def sign_in(
    engine: Engine, name: str, password: str, *, address: str, former_id: str | None = None
) -> NewSignIn:
    """Sign in with a name and a password.

    Args:
        engine: Connects as the API does.
        name: As typed.
        password: As typed.
        address: What counts as one client.
        former_id: The id in the browser's cookie, which ends.

    Raises:
        SignInRefused: If the name or the password is wrong.
        TooBusy: If too many sign in at this moment; the attempt was not counted.
        TooManyAttempts: If there were too many; the password was not checked.
    """
    with place_in_line():
        login, subject = _counted_login(engine, name, address)
        # Outside a transaction: it takes a tenth of a second.
        is_right = is_password(password, login.password_hash if login else None)
    with transaction(engine) as connection:
        opened = _opened(connection, login, address, former_id) if login and is_right else None
        if opened is not None:
            forget_attempts(connection, subject)
            return opened
        # Written for names that no operator has too: both take the same time.
        actor = Actor(login.id if login else None, address)
        note_action(connection, actor, OperatorAction.SIGN_IN_REFUSED)
    raise SignInRefused


def sign_in_by_proxy(
    engine: Engine, name: str, *, address: str, former_id: str | None = None
) -> NewSignIn:
    """Sign in whom a trusted identity proxy names.

    Raises:
        UnknownProxyUser: If no operator has that name.
    """
    try:
        named = checked_name(name)
    except BadOperatorName:
        raise UnknownProxyUser from None
    with transaction(engine) as connection:
        login = find_login(connection, named)
        opened = _opened(connection, login, address, former_id) if login else None
    if opened is None:
        raise UnknownProxyUser
    return opened


def current_operator(engine: Engine, sign_in_id: str) -> SignedInOperator | None:
    """The operator of a sign-in, which is used by this; None if it has ended."""
    if not 0 < len(sign_in_id) <= _LONGEST_ID:
        return None
    with transaction(engine) as connection:
        return signed_in(connection, hash_of_id(sign_in_id))


def sign_out(engine: Engine, sign_in_id: str, actor: Actor) -> None:
    """End a sign-in."""
    with transaction(engine) as connection:
        close_sign_in(connection, hash_of_id(sign_in_id))
        note_action(connection, actor, OperatorAction.SIGNED_OUT)


def _counted_login(engine: Engine, name: str, address: str) -> tuple[StoredLogin | None, str]:
    """Count the attempt before anything is hashed.

    An address with too many attempts counts for no operator any more.

    Returns:
        The operator, if there is one, and the subject under which the attempt counts.

    Raises:
        TooManyAttempts: If there were too many.
    """
    login = None
    with transaction(engine) as connection:
        subject = _subject("address", address)
        attempts, most = count_attempt(connection, subject), ATTEMPTS_PER_ADDRESS
        if attempts.count <= most:
            subject = _subject_of_name(connection, name, address)
            attempts, most = count_attempt(connection, subject), ATTEMPTS_PER_OPERATOR
            login = _login(connection, name)
    # After the commit: an attempt that is refused counts as well.
    if attempts.count > most:
        raise TooManyAttempts(max(1, math.ceil(attempts.seconds_left)))
    return login, subject


def _subject_of_name(connection: Connection, name: str, address: str) -> str:
    """Under which attempts as this operator count.

    Those from where the operator signed in lately count apart: strangers who try passwords
    elsewhere do not lock the operator out.
    """
    named = name.strip().lower()
    if signed_in_from(connection, named, address):
        return _subject("operator at", f"{address} {named}")
    return _subject("operator", named)


def _login(connection: Connection, name: str) -> StoredLogin | None:
    try:
        return find_login(connection, checked_name(name))
    except BadOperatorName:
        return None


def _opened(
    connection: Connection, login: StoredLogin, address: str, former_id: str | None
) -> NewSignIn | None:
    """A new sign-in; None if the operator was removed or got another password since."""
    new = NewSignIn(secrets.token_urlsafe(_ID_BYTES))
    former = None if former_id is None else hash_of_id(former_id)
    if not open_sign_in(connection, login, hash_of_id(new.id), former_hash=former):
        return None
    note_action(connection, Actor(login.id, address), OperatorAction.SIGNED_IN)
    return new


def _subject(kind: str, text: str) -> str:
    return hashlib.sha256(f"{kind}:{text}".encode("utf-8", "replace")).hexdigest()
