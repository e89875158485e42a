"""Which role a page's decision needs, at which clinic.

What roles allow is in ``domain/console/operators.py``; the database checks it too (revision 0028).
"""

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.console.operators import OperatorRole
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.operations.operators.sign_in import OperatorView


class NotAllowed(UserFacingError):
    """The operator's role at the clinic does not allow that; nothing was changed."""


def check_role(view: OperatorView, role: OperatorRole, clinic: Clinic) -> None:
    """Check that the operator has at least ``role`` at the clinic.

    Raises:
        NotAllowed: If not.
    """
    if not view.rights.may(role, clinic.id):
        raise NotAllowed(
            f"Only the role {role} may do that at {clinic.slug}. An administrator gives it with "
            "pims operators roles."
        )
