"""Build the image of deploy/ from Debian's packages alone, and play the demonstration in it.

Part of ``make image``, for machines without a container engine or a registry of images. Takes some
minutes and 8 GB; needs root, and the packages buildah and debootstrap.

    IMAGE_VOLUMES   what each step of the build sees of this machine, such as the settings of its
                    package registries: HOST:CONTAINER:ro, separated by spaces
"""  # noqa: INP001 - a script, not part of a package

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from system_packages import install

ROOT = Path(__file__).parent.parent
TOOLS = ("buildah", "debootstrap")
BASE = "localhost/pims-base:bookworm"
IMAGE = "localhost/pims-pipeline:trial"
# No overlay file systems and no namespaces: both are often missing inside a sandbox.
ENVIRONMENT = {**os.environ, "BUILDAH_ISOLATION": "chroot", "STORAGE_DRIVER": "vfs"}
# The same as in deploy/compose.yaml: chroot isolation has no user namespaces either.
DEMO = ("/usr/bin/tini", "-s", "--", "pims", "part", "start", "pims", "demo")
ENVIRONMENT_FORMAT = "{{range .Docker.Config.Env}}{{println .}}{{end}}"
CONFINED = "test $(id -u) = 10001 && ! touch /opt/pims/x 2>/dev/null && ! command -v gcc pip"
# As `read_only` and `tmpfs` of deploy/compose.yaml do it: $1 is the container's root directory.
READ_ONLY = """
mount --bind "$1" "$1"
mount -o remount,ro,bind "$1"
mount -t tmpfs -o mode=1777,size=512m tmpfs "$1/tmp"
mount -t tmpfs -o mode=0700,uid=10001,gid=10001 tmpfs "$1/var/lib/pims"
mount -t proc proc "$1/proc"
mount --rbind /dev "$1/dev"
"""


def run(*command: str | Path) -> None:
    """Run a command; its output goes to the terminal."""
    subprocess.run(command, env=ENVIRONMENT, cwd=ROOT, check=True)  # noqa: S603 - commands of our own


def output(*command: str) -> list[str]:
    """The lines of a command's output."""
    done = subprocess.run(  # noqa: S603 - as above
        command, env=ENVIRONMENT, check=True, text=True, stdout=subprocess.PIPE
    )
    return done.stdout.splitlines()


@contextmanager
def container(image: str) -> Iterator[str]:
    """A container of an image, removed after the block."""
    [name] = output("buildah", "from", "--pull-never", image)
    try:
        yield name
    finally:
        run("buildah", "rm", name)


def make_base() -> None:
    """Make the base image, unless it is there: a Debian of the packages that every one has."""
    if subprocess.run(  # noqa: S603 - a command of our own
        ["buildah", "inspect", "--type", "image", BASE],  # noqa: S607 - found on the path
        env=ENVIRONMENT,
        check=False,
        capture_output=True,
    ).returncode == 0:  # fmt: skip
        return
    with tempfile.TemporaryDirectory(prefix="pims-base-") as directory:
        root = Path(directory) / "root"
        run("debootstrap", "--variant=minbase", "--include=ca-certificates", "bookworm", root)
        with container("scratch") as name:
            run("buildah", "add", "--quiet", name, root, "/")
            run("buildah", "commit", "--quiet", name, BASE)


def build(volumes: Sequence[str]) -> None:
    """Build the image on the base."""
    mounted = [word for volume in volumes for word in ("--volume", volume)]
    # Docker's format, which alone has health checks.
    base = ("--format", "docker", "--pull-never", "--build-arg", f"BASE_IMAGE={BASE}")
    run("buildah", "bud", *base, *mounted, "--file", "deploy/Dockerfile", "--tag", IMAGE, ".")


def play(name: str) -> None:
    """Play the demonstration in a container whose root file system is read-only.

    ``buildah run`` has no such option, so it is mounted and entered by hand.
    """
    [root] = output("buildah", "mount", name)
    variables = output("buildah", "inspect", "--format", ENVIRONMENT_FORMAT, name)
    inside = ("env", "-i", *variables, "PIMS_BROWSER_SANDBOX=false", *DEMO)
    enter = f'{READ_ONLY}exec chroot --userspec=10001:10001 "$@"'
    run("unshare", "--mount", "sh", "-euc", enter, "sh", root, *inside)


def main() -> None:
    """Make, build, run; exit 1 where that stops."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    for tool in missing:
        install(tool, brew=[])
    try:
        make_base()
        build(os.environ.get("IMAGE_VOLUMES", "").split())
        with container(IMAGE) as name:
            run("buildah", "run", name, "--", "sh", "-euc", CONFINED)
            play(name)
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        sys.exit(f"It stopped there: {error}")


if __name__ == "__main__":
    main()
