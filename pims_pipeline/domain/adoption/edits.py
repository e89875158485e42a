"""Whether a status or type differs because people set it. Pure."""

from typing import TypeVar

Value = TypeVar("Value")


def is_edited(
    ours: Value,
    theirs: Value,
    meant_here: Value | None,
    meant_there: Value | None,
    read_there: Value | None,
) -> bool:
    """Whether people set one of two different values.

    Neither side records who set a value. A value that the vendor's word does not mean was set by
    people, as long as both sides have a word with that meaning: a word that one side has not seen
    yet is a difference of the syncs. Where v4.0 lost the word, ours decides for our value alone.

    Args:
        ours: Our value.
        theirs: Theirs, which is another one.
        meant_here: What the vendor's word on our case means at the clinic; None without a known
            word.
        meant_there: The same for the word on their case.
        read_there: What v4.0 takes that word for: it does not know the clinic's own words.
    """
    if meant_here is None or meant_there not in {None, meant_here}:
        return False
    if ours != meant_here:
        return True
    return read_there is not None and theirs != read_there
