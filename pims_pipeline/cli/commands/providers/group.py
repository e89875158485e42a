"""``pims providers``: list the installed providers and show what one needs.

What a provider's package must declare belongs in ``providers``; ``check`` and ``report`` have
modules of their own.
"""

import click

from pims_pipeline.cli.commands.providers.check import check
from pims_pipeline.cli.commands.providers.report import report
from pims_pipeline.cli.runtime import Group
from pims_pipeline.cli.terminal.errors import typed
from pims_pipeline.cli.terminal.options import examples, json_option
from pims_pipeline.cli.terminal.streams import print_json, say
from pims_pipeline.cli.terminal.tables import print_table
from pims_pipeline.providers.description import ProviderDescription
from pims_pipeline.providers.registry import registry
from pims_pipeline.settings import Settings
from pims_pipeline.wire.vendors.providers import ProviderDocument, ProviderList


@click.group(cls=Group)
def providers() -> None:
    """List the practice management systems that clinics can use; show and check one."""


providers.add_command(check)
providers.add_command(report)


@providers.command(
    "list",
    epilog=examples(
        "pims providers list",
        "pims providers list --json",
    ),
)
@json_option('`{"providers": […], "broken": […]}`')
@click.pass_obj
def list_installed(settings: Settings, *, as_json: bool) -> None:  # noqa: ARG001 - click passes it
    """List the installed providers.

    A provider is a package with an entry point in the group pims_pipeline.providers. One that
    cannot be used is named with what is wrong; the others are not affected.
    """
    installed = registry().installed()
    if as_json:
        print_json(ProviderList.of(installed))
        return
    print_table(
        ["Type", "Title", "Package", "Login", "Capabilities"],
        (
            (
                each.type,
                each.title,
                installed.packages[each.type],
                ", ".join(field.name for field in each.credential_fields),
                ", ".join(sorted(each.capabilities)),
            )
            for each in installed.providers
        ),
        empty="No provider is installed; install pims_pipeline again, as `make setup` does.",
    )
    for broken in installed.broken:
        say(f"Warning: {broken}", err=True)


@providers.command(
    epilog=examples(
        "pims providers show idexx_neo",
        "pims providers show idexx_neo --json",
    ),
)
@click.argument("name", metavar="NAME")
@json_option("the provider as `pims providers list` does")
@click.pass_obj
def show(settings: Settings, *, name: str, as_json: bool) -> None:  # noqa: ARG001 - click passes it
    """Show a provider: its capabilities, and the fields of its login.

    NAME is its type, which `pims clinics add --provider` takes.
    """
    with typed():
        provider = registry().description(name)
    package = registry().package(name)
    if as_json:
        print_json(ProviderDocument.of(provider, package))
        return
    for line in _lines(provider, package):
        say(line)
    print_table(
        ["Field", "Label", "Secret", "Required", "Help"],
        (
            (
                each.name,
                each.label,
                "yes" if each.secret else "no",
                "yes" if each.required else "no",
                each.help,
            )
            for each in provider.credential_fields
        ),
        empty="Its login has no field.",
    )


def _lines(provider: ProviderDescription, package: str) -> list[str]:
    return [
        f"{provider.title} ({provider.type}), of package {package}",
        f"Base URL, such as: {provider.base_url_example}",
        f"Capabilities: {', '.join(sorted(provider.capabilities)) or 'none'}",
        *([f"Documentation: {provider.docs}"] if provider.docs else []),
    ]
