"""``pims clinics words``: show a clinic's status and type words, and change what they mean."""

from collections.abc import Callable, Sequence

import click

from pims_pipeline.cli.runtime import Command, open_store
from pims_pipeline.cli.terminal.clinic_words import command_for
from pims_pipeline.cli.terminal.errors import typed
from pims_pipeline.cli.terminal.options import (
    Function,
    by_option,
    examples,
    json_option,
    slug_argument,
)
from pims_pipeline.cli.terminal.streams import print_json, say
from pims_pipeline.cli.terminal.tables import print_table
from pims_pipeline.domain.records.clinic_words import (
    WordChange,
    typed_meaning,
    typed_word,
)
from pims_pipeline.domain.records.word_uses import WordBasis, WordUse
from pims_pipeline.domain.records.words import WordKind
from pims_pipeline.operations.words import WordOverview, change_words, show_words
from pims_pipeline.settings import Settings
from pims_pipeline.wire.clinics import WordsDocument

_BASES = {
    WordBasis.CLINIC: "the clinic's own",
    WordBasis.KNOWN: "known",
    WordBasis.PART: "guessed from a part of it",
    WordBasis.UNKNOWN: "not known",
}


def _word_options(command: Function) -> Function:
    for kind in reversed(WordKind):
        for option in (_removal(kind), _meaning(kind)):
            command = option(command)
    return command


def _meaning(kind: WordKind) -> Callable[[Function], Function]:
    meanings = "|".join(kind.meanings)
    return click.option(
        f"--{kind}",
        f"{kind}_words",
        metavar=f"WORD={meanings}",
        multiple=True,
        help=f"What this {kind} word means at the clinic. Repeat it for several.",
    )


def _removal(kind: WordKind) -> Callable[[Function], Function]:
    return click.option(
        f"--remove-{kind}",
        f"removed_{kind}_words",
        metavar="WORD",
        multiple=True,
        help=f"A {kind} word that means at the clinic what it means elsewhere. Repeat it for "
        "several.",
    )


@click.command(
    cls=Command,
    epilog=examples(
        "pims clinics words riverbend",
        'pims clinics words riverbend --status "Waiting in car=ongoing"',
        'pims clinics words riverbend --type "Dental cleaning=checkup" --type "TPLO=surgery"',
        'pims clinics words riverbend --remove-status "Waiting in car"',
    ),
)
@slug_argument
@_word_options
@by_option("changed_by", "Who changes them")
@json_option('`{"clinic": …, "changed": …, "words": […]}`')
@click.pass_obj
def words(
    settings: Settings,
    *,
    slug: str,
    status_words: Sequence[str],
    removed_status_words: Sequence[str],
    type_words: Sequence[str],
    removed_type_words: Sequence[str],
    changed_by: str,
    as_json: bool,
) -> None:
    """Show a clinic's status and type words, and change what they mean for its cases.

    Shows the words of all known appointments, with what each means and those that are not known or
    only guessed. Upper and lower case are the same, and so are spaces, underscores and hyphens. The
    next sync of a date applies a change to its cases, also to those that a person has edited since
    the appointment last changed.
    """
    with typed():
        wanted = [
            *_typed(WordKind.STATUS, status_words, removed_status_words),
            *_typed(WordKind.TYPE, type_words, removed_type_words),
        ]
    with open_store(settings) as store:
        if wanted:
            overview = change_words(store.engine, slug, wanted, changed_by=changed_by)
        else:
            overview = show_words(store.engine, slug)
    if as_json:
        print_json(WordsDocument.of(overview))
        return
    _print(overview)


def _typed(kind: WordKind, meanings: Sequence[str], removed: Sequence[str]) -> list[WordChange]:
    return [
        *(typed_meaning(each, kind) for each in meanings),
        *(WordChange(kind, typed_word(each), None) for each in removed),
    ]


def _print(overview: WordOverview) -> None:
    slug = overview.clinic.slug
    print_table(
        ["Kind", "Word", "Means", "Because it is", "Appointments", "Last date"],
        (
            (
                str(each.kind),
                each.word or "(empty)",
                str(each.meaning),
                _because(each),
                str(each.appointments),
                each.last_date.isoformat() if each.last_date else "",
            )
            for each in overview.uses
        ),
        empty=f"No appointment of {slug} is known yet.",
    )
    if overview.changed:
        say(
            f"{overview.changed} of the words of {slug} changed. The next sync of a date applies "
            f"them; for older dates: pims sync cases --clinic {slug} --from DATE --to DATE"
        )
    elif guesses := [each for each in overview.uses if each.is_guess]:
        say(f"{len(guesses)} are guessed. Set what one means: {command_for(slug, guesses[0])}")


def _because(use: WordUse) -> str:
    if use.stated and use.stated == use.appointments:
        return "stated by the vendor"
    return _BASES[use.basis]
