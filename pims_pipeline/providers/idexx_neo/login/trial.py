"""Starting the browser as a login does, without one: for ``pims doctor``."""

from pims_pipeline.providers.idexx_neo.login.browser_thread import BrowserUse
from pims_pipeline.providers.idexx_neo.login.pool import shared_pool
from pims_pipeline.providers.options import ProviderOptions
from pims_pipeline.providers.stop_signal import StopSignal


def start_browser(options: ProviderOptions, stop: StopSignal) -> str:
    """Start the browser, open a page and close both; returns what was started.

    Raises:
        BrowserUnavailable: If there is no browser, or it does not start.
        TransientError: If it did not start in time.
        RunStopped, TimeLimitReached: From ``stop``.
    """
    return shared_pool(options.login).log_in(_version, stop)


async def _version(use: BrowserUse) -> str:
    browser = use.page.context.browser
    version = "" if browser is None else f" {browser.version}"
    return f"Chromium{version} starts and opens a page"
