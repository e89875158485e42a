"""Which requests come from the console's own pages, by headers that no page can forge."""

from starlette.requests import Request

from pims_pipeline.local_trust.origins import OwnAddresses


def is_from_own_page(request: Request, own: OwnAddresses) -> bool:
    """Whether a form was sent by a page of this server.

    A browser sends ``Origin`` with every form, and ``Sec-Fetch-Site`` in all present versions.
    Neither may name another site, and one of them must be there.
    """
    sites = request.headers.getlist("sec-fetch-site")
    if sites and sites != ["same-origin"]:
        return False
    origins, hosts = request.headers.getlist("origin"), request.headers.getlist("host")
    if not origins:
        return bool(sites)
    return len(origins) == len(hosts) == 1 and own.is_origin(origins[0], hosts[0])
