"""``pims adopt run``: adopt one clinic, with its login, schedule and cases."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from pims_pipeline.adoption.cases import Progress
from pims_pipeline.adoption.importing import AdoptionRequest, AdoptionResult, adopt
from pims_pipeline.cli.adopt.options import number_of, schema_option
from pims_pipeline.cli.runtime import Command, open_store
from pims_pipeline.cli.terminal.base_url import checked_base_url
from pims_pipeline.cli.terminal.errors import typed
from pims_pipeline.cli.terminal.options import ProviderType, examples, json_option
from pims_pipeline.cli.terminal.streams import console_on, print_json, say
from pims_pipeline.domain.adoption.clinics import ClinicAnswers
from pims_pipeline.domain.adoption.importing import ImportFinding
from pims_pipeline.domain.clinics import checked_slug, zone_named
from pims_pipeline.settings import Settings, environment_value

_FINDINGS = {
    ImportFinding.RETIRED: "retired by v4.0; a sync restores those whose appointment exists",
    ImportFinding.WITHOUT_TIME: "without a time; the first sync sets it",
    ImportFinding.WITHOUT_WORDS: "without the vendor's words; the first sync sets them",
    ImportFinding.CONSULTATION: "with a consultation",
    ImportFinding.CONSULTATION_LEFT_OUT: "with a consultation that is not whole; a sync fetches it",
    ImportFinding.OTHER_STATUS: "with an unknown status",
}


@click.command(
    cls=Command,
    epilog=examples(
        "pims adopt run --clinic riverbend --base-url https://clinic.example --dry-run",
        "pims adopt run --clinic riverbend --base-url https://clinic.example",
    ),
)
@click.option(
    "--clinic", "name", metavar="SLUG", required=True, help="The clinic's slug or id in v4.0."
)
@schema_option
@click.option("--dry-run", is_flag=True, help="Write nothing; show what would be done.")
@click.option(
    "--slug", "slug", help="Its name here; needed if its slug in v4.0 cannot be one or is taken."
)
@click.option(
    "--timezone",
    help="Its IANA time zone; needed if v4.0 stores none. Deployed installations read no zone as "
    "America/Los_Angeles, and so does this command.",
)
@click.option(
    "--provider",
    type=ProviderType(),
    help="Its practice management system; needed if v4.0 names one that is not known here.",
)
@click.option(
    "--base-url", help="The system's address, which v4.0 does not store; needed the first time."
)
@click.option(
    "--without-credentials",
    is_flag=True,
    help="Leave its login out; store it with `pims credentials set`.",
)
@json_option("what was done: counts, and ids of cases that were left out")
@click.pass_obj
def run(settings: Settings, /, *, as_json: bool, **given: object) -> None:
    """Adopt a clinic in mode shadow: import it, its login, schedule and cases.

    Cases keep their ids, status, type and the keys of the application. Nothing of the v4.0
    installation is changed. Run again, it imports what is new there, and changes nothing here.

    The login is decrypted with IDEXX_ENCRYPTION_KEY_<KEY ID> or IDEXX_ENCRYPTION_KEY from the
    environment, and encrypted with this pipeline's own key.
    """
    request = _request(**given)
    with open_store(settings) as store, _shown_progress() as progress:
        result = adopt(
            store.engine,
            request,
            vault=store.vault,
            password_of=environment_value,
            progress=progress,
        )
    if as_json:
        from pims_pipeline.wire.adoptions import (  # noqa: PLC0415 - lines need no models
            AdoptionResultDocument,
        )

        print_json(AdoptionResultDocument.of(result, dry_run=request.dry_run))
        return
    for line in _lines(result, dry_run=request.dry_run):
        say(line)


def _request(**given: object) -> AdoptionRequest:
    """The request of the typed options; checks the answers."""
    said = {name: value if isinstance(value, str) else None for name, value in given.items()}
    with typed():
        answers = ClinicAnswers(
            slug=None if said["slug"] is None else checked_slug(said["slug"]),
            timezone=None if said["timezone"] is None else zone_named(said["timezone"]).key,
            provider_type=said["provider"],
            base_url=None if said["base_url"] is None else checked_base_url(said["base_url"]),
        )
    return AdoptionRequest(
        schema=str(given["schema"]),
        clinic=str(given["name"]),
        answers=answers,
        with_credentials=not given["without_credentials"],
        dry_run=bool(given["dry_run"]),
    )


@contextmanager
def _shown_progress() -> Iterator[Progress]:
    """Show how many cases were read, if standard error is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.progress import MofNCompleteColumn, Progress as Bar, TextColumn  # noqa: PLC0415, I001 - slow, and only for a terminal

    with Bar(
        TextColumn("{task.description}"), MofNCompleteColumn(), console=console_on(sys.stderr)
    ) as bar:
        task = bar.add_task("cases", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _lines(result: AdoptionResult, *, dry_run: bool) -> Iterator[str]:
    slug = result.clinic.slug
    dry = " (dry run)" if dry_run else ""
    if not result.changes:
        yield f"{slug} is adopted already, and nothing is new there; nothing was changed."
        return
    if result.is_new:
        verb = "would be adopted" if dry_run else "is adopted"
        yield (
            f"{slug} {verb} from schema {result.installation.schema} "
            f"({result.installation.layout} layout), in mode shadow."
        )
    yield f"Imported{dry}: {number_of(result.cases.imported)}; linked{dry}: {result.cases.linked}."
    for finding, count in sorted(result.cases.findings.items()):
        yield f"  {count} {_FINDINGS[finding]}"
    if result.cases.of_people:
        yield f"Left with the application, of no appointment: {number_of(result.cases.of_people)}."
    for each in result.cases.duplicates:
        others = ", ".join(map(str, each.others))
        yield f"appointment {each.appointment_id}: case {each.linked} is linked, {others} left out"
    for case_id in result.cases.collisions:
        yield f"case {case_id} was left out: another case here has its id"
    if result.has_login:
        stored = "would be" if dry_run else "is"
        yield f"The login {stored} stored. Check it: pims credentials check {slug}"
    for note in result.notes:
        yield f"note: {note}"
    if result.target_room_id:
        yield (
            f"note: v4.0 syncs only room {result.target_room_id}, and so does the pipeline; "
            f"`pims clinics resources {slug}` shows and changes it"
        )
