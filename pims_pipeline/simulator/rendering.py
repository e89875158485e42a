"""Pages from templates: those for a person, and a vendor's own. Every value is escaped.

The module of a route decides what its page shows; the folder ``templates`` beside it, how it looks.
"""

from functools import cache

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined


def render(template: str, **values: object) -> str:
    """The page of a template, such as ``login/form.html``.

    Raises:
        jinja2.UndefinedError: If the template uses a value that is not given.
    """
    return _environment().get_template(template).render(values)


_PACKAGES = (
    "pims_pipeline.simulator.people",
    "pims_pipeline.simulator.vendors.idexx_neo",
)


@cache
def _environment() -> Environment:
    return Environment(
        loader=ChoiceLoader([PackageLoader(each) for each in _PACKAGES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
