"""Fetch the page's libraries anew: `python txcrush/web/vendor/refresh.py [--check]`.

`vendored.json` names each package, its version, the integrity that npm published for its tarball, the files that are
taken from it and what these files hash to. This script asks npm (`npm pack`) for each tarball, refuses one whose
integrity differs, and writes the files to `NAME-VERSION/`, a name that never means anything else: browsers may keep
them for ever. To move to another version change it there, empty its `integrity` and `files` hashes, and run this.
`--check` writes nothing and needs no network: it compares the files that are here with their hashes.
"""

import base64
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
LIST = HERE / "vendored.json"


def main(arguments: list[str]) -> int:
    packages: list[dict[str, Any]] = json.loads(LIST.read_text())
    if arguments == ["--check"]:
        wrong = [problem for package in packages for problem in problems(package)]
        print("\n".join(wrong) or "every vendored file is the one that was taken")
        return 1 if wrong else 0
    if arguments:
        print(__doc__, file=sys.stderr)
        return 2
    for package in packages:
        fetch(package)
    LIST.write_text(json.dumps(packages, indent=2) + "\n")
    return 0


def problems(package: dict[str, Any]) -> list[str]:
    """What is wrong with the files of a package that are here, a line each."""
    found = []
    for name, sha256 in package["files"].items():
        path = place(package, name)
        if not path.is_file():
            found.append(f"{path} is missing")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
            found.append(f"{path} was changed")
    return found


def fetch(package: dict[str, Any]) -> None:
    """Get the tarball, compare it with what npm published, and take the files out of it."""
    named = f"{package['name']}@{package['version']}"
    with tempfile.TemporaryDirectory() as work:
        packed = subprocess.run(["npm", "pack", "--json", named], cwd=work, check=True, capture_output=True, text=True)
        (told,) = json.loads(packed.stdout)
        tarball = Path(work, told["filename"])
        integrity = "sha512-" + base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode()
        if integrity != told["integrity"] or package["integrity"] not in ("", integrity):
            raise SystemExit(f"{named}: the tarball is not the one that was published: {integrity}")
        package["integrity"] = integrity
        with tarfile.open(tarball) as archive:
            for name in package["files"]:
                package["files"][name] = take(archive, name, place(package, name))
    print(f"{named}: {len(package['files'])} files")


def take(archive: tarfile.TarFile, name: str, path: Path) -> str:
    """Write one file of the archive; its SHA-256."""
    member = archive.extractfile(f"package/{name}")
    assert member is not None, name
    data = member.read()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def place(package: dict[str, Any], name: str) -> Path:
    """Where a file of the tarball lies here. A folder `dist` would be taken for something that was built."""
    return HERE / f"{package['name'].rpartition('/')[2]}-{package['version']}" / name.removeprefix("dist/")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
