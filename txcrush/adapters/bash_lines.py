"""A stand-in until the real judgement lands: every line asks."""

from msgspec import Struct


class Judgement(Struct, frozen=True):
    runs_unasked: bool
    command: str
    keys: tuple[str, ...]
    blocked: str = ""
    parse_error: str = ""
    guarded: bool = False


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
BANNED_SHAPES: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("brew", ("install",), ()),
    ("cargo", ("install",), ()),
    ("gem", ("install",), ()),
    ("go", ("install",), ()),
    ("npm", ("install",), ("--global",)),
    ("npm", ("install",), ("-g",)),
    ("pip", ("install",), ("--user",)),
    ("pip3", ("install",), ("--user",)),
    ("pnpm", ("add",), ("--global",)),
    ("pnpm", ("add",), ("-g",)),
    ("yarn", ("global", "add"), ()),
    ("go", ("test",), ("-exec",)),
)
