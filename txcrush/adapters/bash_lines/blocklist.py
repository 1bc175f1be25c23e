"""The block list (`tools.md` 10.4): programs that are never started, and argument shapes that are refused.

It keeps an agent from doing by the way what a person should do. It is no boundary: a program that is started by another
program, or by its path, is not looked at.
"""

from collections.abc import Sequence

from msgspec import Struct


class Shape(Struct, frozen=True):
    """Arguments that are refused: the first words, and flags that must stand somewhere."""

    program: str
    words: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()


BANNED_NAMES: tuple[str, ...] = tuple(
    """
    alias aria2c axel chrome curl curlie firefox http-prompt httpie links lynx nc safari scp ssh telnet w3m wget xh
    doas su sudo
    apk apt apt-cache apt-get dnf dpkg emerge home-manager makepkg opkg pacman paru pkg pkg_add pkg_delete portage rpm
    yay yum zypper
    at batch chkconfig crontab fdisk mkfs mount parted service systemctl umount
    firewall-cmd ifconfig ip iptables netstat pfctl route ufw
    """.split()
)

BANNED_SHAPES: tuple[Shape, ...] = (
    Shape("apk", ("add",)),
    Shape("apt", ("install",)),
    Shape("apt-get", ("install",)),
    Shape("dnf", ("install",)),
    Shape("pacman", (), ("-S",)),
    Shape("pkg", ("install",)),
    Shape("yum", ("install",)),
    Shape("zypper", ("install",)),
    Shape("brew", ("install",)),
    Shape("cargo", ("install",)),
    Shape("gem", ("install",)),
    Shape("go", ("install",)),
    Shape("npm", ("install",), ("--global",)),
    Shape("npm", ("install",), ("-g",)),
    Shape("pip", ("install",), ("--user",)),
    Shape("pip3", ("install",), ("--user",)),
    Shape("pnpm", ("add",), ("--global",)),
    Shape("pnpm", ("add",), ("-g",)),
    Shape("yarn", ("global", "add")),
    Shape("go", ("test",), ("-exec",)),
)

_NAMES = frozenset(BANNED_NAMES)


def split_arguments(arguments: Sequence[str]) -> tuple[list[str], set[str]]:
    """Words, in order, and flags; `--config=/x` is the flag `--config`."""
    words = [one for one in arguments if not one.startswith("-")]
    flags = {one.partition("=")[0] for one in arguments if one.startswith("-")}
    return words, flags


def fits(shape: Shape, argv: Sequence[str]) -> bool:
    """Whether a command has this shape."""
    if not argv or argv[0] != shape.program:
        return False
    words, flags = split_arguments(argv[1:])
    return tuple(words[: len(shape.words)]) == shape.words and flags.issuperset(shape.flags)


def blocked_by(argv: Sequence[str]) -> str:
    """The name that the block message gives, or nothing where the command may start. Names are taken as they are:
    `CURL` and `/usr/bin/curl` are not `curl`."""
    if not argv:
        return ""
    if argv[0] in _NAMES or any(fits(shape, argv) for shape in BANNED_SHAPES):
        return argv[0]
    return ""
