"""The status of a clinic's stored credentials."""

from enum import StrEnum


class CredentialStatus(StrEnum):
    """What the vendor made of the stored credentials when they were last tried.

    Attributes:
        UNVERIFIED: They have not been tried yet.
        VALID: The vendor accepted them.
        INVALID: The vendor refused them. No sync tries them again until they are replaced.
        NEEDS_HUMAN: The account needs a person. No sync logs in until a person has checked it.
    """

    UNVERIFIED = "unverified"
    VALID = "valid"
    INVALID = "invalid"
    NEEDS_HUMAN = "needs_human"
