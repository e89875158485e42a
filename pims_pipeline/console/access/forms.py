"""Forms that pages send: read, and refused unless a page of this console sent them.

Two checks that do not depend on one another: the headers ``Origin`` and ``Sec-Fetch-Site``, and the
token of the sign-in, which each form carries.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import Depends, Request

from pims_pipeline.console.access.origins import is_from_own_page
from pims_pipeline.console.access.visitors import SignedInVisitor, Visitor
from pims_pipeline.console.context import context_of
from pims_pipeline.console.errors import Forbidden
from pims_pipeline.operations.operators.sign_in import is_form_token

TOKEN_FIELD = "form_token"  # noqa: S105 - a field's name
_TYPE = "application/x-www-form-urlencoded"
_MOST_FIELDS = 200
_FOREIGN = "Another site sent this form. Open the page of the console and send it from there."


@dataclass(frozen=True)
class Form:
    """The fields of a form; of one that is sent twice, the last."""

    fields: Mapping[str, str] = field(repr=False)

    def text(self, name: str) -> str:
        """The value of a field; empty if it was not sent."""
        return self.fields.get(name, "")


async def own_form(request: Request) -> Form:
    """The form that a page of this console sent; the sign-in's has no token yet.

    Raises:
        Forbidden: If another site sent it.
    """
    if not is_from_own_page(request, context_of(request.app).own_addresses):
        raise Forbidden(_FOREIGN)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _TYPE:
        raise Forbidden("This is not a form of the console.")
    body = await request.body()
    try:
        pairs = parse_qsl(
            body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_MOST_FIELDS
        )
    except ValueError:
        raise Forbidden("This form has too many fields.") from None
    return Form(dict(pairs))


@dataclass(frozen=True)
class VisitorsForm(Form):
    """A form that a page of the operator's own sign-in sent."""

    visitor: Visitor = field(kw_only=True)


def _visitors_form(form: Annotated[Form, Depends(own_form)], visitor: SignedInVisitor) -> Form:
    if not is_form_token(visitor.sign_in_id, form.text(TOKEN_FIELD)):
        raise Forbidden("This form is of an earlier sign-in. Open its page again and send it.")
    return VisitorsForm(form.fields, visitor=visitor)


OwnForm = Annotated[Form, Depends(own_form)]
"""The dependency of the sign-in form's route."""
SentForm = Annotated[VisitorsForm, Depends(_visitors_form)]
"""The dependency of every other form's route."""
