"""The operator who sends a request: ``def route(visitor: SignedInVisitor)``.

The dependency looks the sign-in up in the database, signs in whom the identity proxy names, or
leads to the sign-in page.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated

from fastapi import Depends, Request

from pims_pipeline.console.access import cookies
from pims_pipeline.console.access.peers import client_of, peer_of
from pims_pipeline.console.context import ConsoleContext, context_of
from pims_pipeline.console.errors import (
    Forbidden,
    NotReady,
    SignedInByProxy,
    SignInNeeded,
)
from pims_pipeline.domain.console.operators import SignedInOperator
from pims_pipeline.operations.operators.sign_in import (
    OperatorView,
    UnknownProxyUser,
    current_operator,
    form_token,
    operator_view,
    sign_in_by_proxy,
)

_NOT_KEPT = (
    "The browser did not keep the sign-in. Open the console at its address with https; if it is "
    "one, allow its cookies. Then try again in a few seconds."
)


@dataclass(frozen=True)
class Visitor:
    """An operator who is signed in.

    Attributes:
        context: The console's.
        operator: Who it is, with the present roles.
        address: The client's.
        sign_in_id: What the browser keeps. A secret.
    """

    context: ConsoleContext = field(repr=False)
    operator: SignedInOperator
    address: str
    sign_in_id: str = field(repr=False)

    @cached_property
    def view(self) -> OperatorView:
        """What services work with: an engine that sees the operator's clinics, and who acts."""
        return operator_view(
            self.context.engine, self.sign_in_id, self.operator, address=self.address
        )

    @property
    def token(self) -> str:
        """What each form of this sign-in carries."""
        return form_token(self.sign_in_id)


def _visitor(request: Request) -> Visitor:
    """Runs in a thread: it queries the database.

    Raises:
        NotReady: If the database lacks the console's role.
        SignInNeeded: If no one is signed in.
        SignedInByProxy: If the identity proxy named another operator than the browser had.
        Forbidden: If the identity proxy named someone who is no operator, or the browser did not
            keep the sign-in that it got.
    """
    context = context_of(request.app)
    if not context.has_role:
        raise NotReady
    id_ = cookies.sign_in_id(request)
    operator = current_operator(context.engine, id_) if id_ else None
    named = proxy_user(request, context)
    if named is not None and (operator is None or operator.name != named.strip().lower()):
        if cookies.is_refused(request):
            raise Forbidden(_NOT_KEPT)
        raise SignedInByProxy(_opened_by_proxy(request, context, named, id_))
    if operator is None or id_ is None:
        raise SignInNeeded
    visitor = Visitor(context, operator, client_of(request), id_)
    request.state.visitor = visitor
    return visitor


def proxy_user(request: Request, context: ConsoleContext) -> str | None:
    """Whom a trusted identity proxy names; None if there is no such proxy, or it names no one."""
    if context.proxy is None or not context.proxy.is_trusted(peer_of(request)):
        return None
    names = request.headers.getlist(context.proxy.header)
    # Two headers: one of them may be the client's own.
    return names[0] if len(names) == 1 and names[0].strip() else None


def _opened_by_proxy(
    request: Request, context: ConsoleContext, named: str, former: str | None
) -> str:
    try:
        return sign_in_by_proxy(
            context.engine, named, address=client_of(request), former_id=former
        ).id
    except UnknownProxyUser:
        raise Forbidden(
            "You are signed in at the identity proxy, and are no operator here. An administrator "
            "adds you with pims operators add."
        ) from None


SignedInVisitor = Annotated[Visitor, Depends(_visitor)]
"""The dependency of every page but the sign-in page."""
