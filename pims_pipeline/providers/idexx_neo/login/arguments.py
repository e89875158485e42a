"""The command line of Chromium, beside what Playwright adds itself.

Add an argument with its reason; bench/logins.py measures what one is worth.
"""

_FEATURES_OF_PLAYWRIGHT = (
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsUpgrades",
    "HttpsFirstBalancedModeAutoEnable",
    "LensOverlay",
    "MediaRouter",
    "PaintHolding",
    "ThirdPartyStoragePartitioning",
    "AvoidCorsURLLoaderRestartOnRedirect",
    "TcpPortRandomizationWin",
    "OptimizationHints",
    "NetworkTimeServiceQuerying",
    "AimEnabled",
    "PreconnectToSearch",
    "msForceBrowserSignIn",
    "msEdgeUpdateLaunchServicesPreferredVersion",
)
"""What Playwright turns off. Chromium obeys the last list only, so ours must repeat these."""
_UNSEEN_FEATURES = (
    # The address bar's suggestions are pages of their own, which each new window loads: half of
    # what a login costs.
    "WebUIOmniboxPopup",
    "WebUIOmniboxAimPopup",
    # A spare process for the next site; a login has one.
    "SpareRendererForSitePerProcess",
)
ARGUMENTS = (
    # The browser sends requests to the login page only.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    # Containers have neither, and a login needs neither.
    "--disable-gpu",
    "--disable-quic",
    f"--disable-features={','.join((*_FEATURES_OF_PLAYWRIGHT, *_UNSEEN_FEATURES))}",
)
