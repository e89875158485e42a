"""The processes of browsers: those of this process, those with pages, those that still run."""

from contextlib import suppress

import psutil  # type: ignore[import-untyped] # ships no types


def is_alive(process: psutil.Process) -> bool:
    """Whether it still runs; an ended one stays a zombie until a container's init reaps it."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def browsers_of(process: psutil.Process) -> list[psutil.Process]:
    """Every process of every browser below ``process``."""
    found = []
    for child in process.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if "chrom" in child.name():
                found.append(child)
    return found


def living(process: psutil.Process | None = None) -> set[psutil.Process]:
    """The processes of browsers below ``process``, by default this one, that have not ended."""
    return set(filter(is_alive, browsers_of(process or psutil.Process())))


def main_processes() -> set[psutil.Process]:
    """The first process of each living browser below this one, which a driver has started."""
    found = set()
    for each in living():
        with suppress(psutil.Error):
            parent = each.parent()
            # A driver that has just ended is no parent any more.
            if parent is not None and "node" in parent.name():
                found.add(each)
    return found


def pages() -> set[psutil.Process]:
    """The processes that hold pages, and with them what was typed."""
    found = set()
    for each in living():
        with suppress(psutil.Error):
            if "--type=renderer" in each.cmdline():
                found.add(each)
    return found
