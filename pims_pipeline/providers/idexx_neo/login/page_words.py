"""The words of a vendor's page that may be shown: those of logins, and no others.

Titles and screenshots go into logs, alerts and files, and a page after a login may hold personal
data. So only words that are known to be harmless are kept. Add one here when a page cannot be
recognized without it. Names of people, animals or places, numbers and addresses never belong here.
"""

import re

LONGEST_TITLE = 80
_HIDDEN = "…"
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_NOT_SHOWN = re.compile(r"[^\s.,:;!?()'’…-]+")

_VOCABULARY = """
a about above accept accepted access account accounts action active administrator after again
agree agreement all allow already an and animal another any app appointment appointments are as
at attempts authenticate authentication authenticator authorized available back be because been
before below blocked browser but button by calendar can cancel cannot captcha change changed
check choose click clinic clinics close code company complete conditions confirm contact
continue cookie cookies correct could create credentials current dashboard data day days denied
detected device devices did disabled do does done down download email enable ended enter error
errors exist exists expire expired expires failed find first for forbidden forgot form found
from gateway go got has have help here home hospital hospitals hours how human i id identity if
in incorrect inactive internal invalid is it join keep last later limit link list loading
location locations lock locked log logged login logout logo maintenance many match message
method minutes moment more moved multi must name need needed network new news newsletter next
no not notice notification notifications now number of off ok old on once one online only open
or organisation organization other our out outdated page password passwords permission phone
please policy portal practice practices press privacy problem proceed profile question
recognised recognized register reject remember request required reset restricted retry return
review robot save scheduled security see select send sent server service services session
sessions set settings shortly sign signed signing simulator site skip something sorry start
step still submit subscribe subscription suspended switch system team temporarily temporary
terms thank that the then these this time timed times to today token too try trust two
unable unavailable unexpected unknown unlock unsupported until update updated upgrade use used
user username users valid verification verify veterinary vet vets view appointment wait was way we
welcome went were what when where which with work workspace wrong yes yet you your
"""
WORDS = frozenset(_VOCABULARY.split())


def shown_words(text: str) -> str:
    """``text`` as one line of at most 80 characters, with an ellipsis for every other word.

    >>> shown_words("Choose a location, Dr. Okafor")
    'Choose a location …'
    """

    def shown(found: re.Match[str]) -> str:
        word = found[0]
        whole = _WORD.fullmatch(word)
        return word if whole and word.replace("’", "'").lower() in WORDS else _HIDDEN

    words = re.sub(r"[\s.,:;!?()'’…-]*…[\s.,:;!?()'’…-]*", " … ", _NOT_SHOWN.sub(shown, text))
    line = " ".join(words.split())
    return line if len(line) <= LONGEST_TITLE else f"{line[: LONGEST_TITLE - 1]}{_HIDDEN}"
