"""A stand-in until the real judgement lands: every line asks."""

from collections.abc import Sequence

from msgspec import Struct


class Shape(Struct, frozen=True):
    program: str
    words: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()


class Judgement(Struct, frozen=True):
    runs_unasked: bool
    command: str
    keys: tuple[str, ...]
    blocked: str = ""
    parse_error: str = ""
    guarded: bool = False
    reads: tuple[str, ...] = ()


def leads_out(reads: Sequence[str], working_dir: str, root: str) -> bool:
    return any(path.startswith("..") for path in (*reads, working_dir, root))


def judge(line: str) -> Judgement:
    return Judgement(False, line, (line,))


BANNED_NAMES = frozenset(
    """
    alias aria2c axel chrome curl curlie firefox http-prompt httpie links lynx nc safari scp ssh telnet w3m wget xh
    doas su sudo
    apk apt apt-cache apt-get dnf dpkg emerge home-manager makepkg opkg pacman paru pkg pkg_add pkg_delete portage rpm
    yay yum zypper
    at batch chkconfig crontab fdisk mkfs mount parted service systemctl umount
    firewall-cmd ifconfig ip iptables netstat pfctl route ufw
    """.split()  # noqa: SIM905
)
BANNED_SHAPES: tuple[Shape, ...] = (
    Shape("brew", ("install",), ()),
    Shape("cargo", ("install",), ()),
    Shape("gem", ("install",), ()),
    Shape("go", ("install",), ()),
    Shape("npm", ("install",), ("--global",)),
    Shape("npm", ("install",), ("-g",)),
    Shape("pip", ("install",), ("--user",)),
    Shape("pip3", ("install",), ("--user",)),
    Shape("pnpm", ("add",), ("--global",)),
    Shape("pnpm", ("add",), ("-g",)),
    Shape("yarn", ("global", "add"), ()),
    Shape("go", ("test",), ("-exec",)),
)
