"""Pages from the templates of this package; every value in them is escaped.

The module of a route decides what its page shows; ``templates`` decide how it looks.
"""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined


def render(template: str, **values: object) -> str:
    """The page of a template, such as ``login/form.html``.

    Raises:
        jinja2.UndefinedError: If the template uses a value that is not given.
    """
    return _environment().get_template(template).render(values)


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("pims_pipeline.simulator.vendors.idexx_neo"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
