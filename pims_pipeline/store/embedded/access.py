"""File permissions for the embedded server's system user, when root starts it.

The user gets as little as it needs: its data, its programs, and passage to both.
"""

import os
import pwd
import stat
from pathlib import Path


def give_data(user: str, data: Path) -> None:
    """Let a system user keep the server's data; for root.

    Args:
        user: The system user that runs the server.
        data: The data directory, in the program's home; becomes the user's.
    """
    owner = pwd.getpwnam(user)
    os.chown(data, owner.pw_uid, owner.pw_gid)
    open_way(data, owner, home=data.parent)


def open_programs(user: str, installed: Path) -> None:
    """Let a system user run the server's programs, whatever umask they have; for root.

    Args:
        user: The system user that runs them.
        installed: Where the server is installed.
    """
    open_way(installed, pwd.getpwnam(user), home=installed)
    for path in (installed, *installed.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        for_all = mode | stat.S_IRGRP | stat.S_IROTH
        if mode & stat.S_IXUSR:
            for_all |= stat.S_IXGRP | stat.S_IXOTH
        if for_all != mode:
            path.chmod(for_all)


def open_way(
    directory: Path, user: pwd.struct_passwd, *, home: Path, top: Path = Path("/")
) -> None:
    """Let another user pass through the directories above one of its own; for root.

    The home is opened to the user's group alone. Those above it are opened to all where they
    must be, for passing through: they can be neither listed nor read.

    Args:
        directory: The user's own.
        user: Who must reach it.
        home: The program's home directory.
        top: Where to end; it and what is above it stay as they are.
    """
    for above in directory.parents:
        if above == top:
            return
        found = above.stat()
        if above == home:
            if found.st_uid != user.pw_uid and found.st_gid != user.pw_gid:
                os.chown(above, -1, user.pw_gid)
            above.chmod(stat.S_IMODE(found.st_mode) | stat.S_IXGRP)
        elif not _may_pass(found, user):
            above.chmod(stat.S_IMODE(found.st_mode) | stat.S_IXOTH)


def _may_pass(found: os.stat_result, user: pwd.struct_passwd) -> bool:
    if found.st_uid == user.pw_uid:
        return bool(found.st_mode & stat.S_IXUSR)
    if found.st_gid in os.getgrouplist(user.pw_name, user.pw_gid):
        return bool(found.st_mode & stat.S_IXGRP)
    return bool(found.st_mode & stat.S_IXOTH)
