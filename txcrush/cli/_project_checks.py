"""The doctor's look at a project: its configuration, its providers' keys, its database."""

import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing

import psutil
from msgspec.structs import fields

from txcrush.adapters.bounded_reading import read_regular
from txcrush.adapters.config_files import MAX_FILE_BYTES, ConfigSettings, looked_through
from txcrush.adapters.config_paths import nearest_data_directory, places, project_boundary, project_candidates
from txcrush.adapters.providers import offline_config
from txcrush.adapters.sqlite import migrate
from txcrush.adapters.sqlite.files import DATABASE_FILE
from txcrush.cli._findings import Finding, error, ok, warning
from txcrush.core.expansion import expand
from txcrush.model.config import Config, Model, Options, ProviderConfig, SelectedModel
from txcrush.model.errors import ConfigInvalid, StorageFailed
from txcrush.wire.config import read_object

QUICK_CHECK_S = 10.0
NETWORK = ("nfs", "cifs", "smb", "9p", "virtiofs", "fuse", "afs", "ceph", "vboxsf", "drvfs")
"""How the names of file systems begin on which SQLite's WAL and locks are not to be relied on."""


def of_config(path: str, env: Mapping[str, str], system_dir: str = "/etc/crush") -> Iterator[Finding]:
    """Do the files parse, is every key one that is read, and which providers can be asked?"""
    files = [file for file in _config_files(path, env, system_dir) if os.path.lexists(file)]
    if not files:
        yield ok("configuration", "there is no crush.json: the built-in offline model answers, unless a key is set")
    for file in files:
        yield from _of_file(file)
    settings = ConfigSettings(
        env=env, trust_projects=True, server_in_git=True, offline=offline_config(), system_dir=system_dir
    )
    try:
        config, _, warnings = looked_through(settings, path)
    except ConfigInvalid as invalid:
        yield error("configuration", invalid.message, "put right what it says: no workspace opens here until then")
        return
    for text in warnings:
        yield warning("configuration", text, "put it right, or leave the entry out")
    yield from _of_keys(config, env)


def _config_files(path: str, env: Mapping[str, str], system_dir: str) -> list[str]:
    own, boundary = places(env), project_boundary(path)
    data_dir = nearest_data_directory(path, boundary, own.home)
    user = [os.path.join(directory, "crush.json") for directory in (system_dir, own.config_dir, own.data_dir)]
    project = [*project_candidates(path, boundary), os.path.join(data_dir, "crush.json")]
    return list(dict.fromkeys([*user, *project]))


def _of_file(file: str) -> Iterator[Finding]:
    try:
        raw = read_regular(file, MAX_FILE_BYTES + 1)
    except OSError as unreadable:
        yield error("configuration", f"{file} cannot be read: {unreadable.strerror}", f"chmod u+r {file}")
        return
    if len(raw) > MAX_FILE_BYTES:
        yield error("configuration", f"{file} is larger than {MAX_FILE_BYTES} bytes", "make it smaller")
        return
    try:
        value = read_object(raw) if raw else {}
    except ValueError as broken:
        yield error("configuration", f"{file}: {broken}", "make it a JSON object: no comments, no trailing commas")
        return
    unknown = list(unknown_keys(value))
    if unknown:
        yield warning(
            "configuration", f"{file} has keys that txcrush does not read: {', '.join(unknown)}", "check their spelling"
        )
    else:
        yield ok("configuration", f"{file} can be read")


def unknown_keys(value: dict[str, object]) -> Iterator[str]:
    """The keys that nothing reads, with their place; never a value."""
    yield from _beyond(value, Config, "")
    yield from _beyond(value.get("options"), Options, "options.")
    yield from _beyond_each(value.get("models"), SelectedModel, "models.")
    yield from _beyond_each(value.get("providers"), ProviderConfig, "providers.")
    providers = value.get("providers")
    for name, provider in providers.items() if isinstance(providers, dict) else ():
        models = provider.get("models") if isinstance(provider, dict) else None
        for number, model in enumerate(models if isinstance(models, list) else ()):
            yield from _beyond(model, Model, f"providers.{name}.models[{number}].")


def _beyond(value: object, kind: type, place: str) -> Iterator[str]:
    known = {field.encode_name for field in fields(kind)}
    yield from (f"{place}{key}" for key in value if key not in known) if isinstance(value, dict) else ()


def _beyond_each(values: object, kind: type, place: str) -> Iterator[str]:
    for name, value in values.items() if isinstance(values, dict) else ():
        yield from _beyond(value, kind, f"{place}{name}.")


def _of_keys(config: Config, env: Mapping[str, str]) -> Iterator[Finding]:
    """Whether each provider has a key; what it is, nobody is told."""
    for name, provider in config.providers.items():
        if provider.type == "offline":
            yield ok("providers", "none is configured: the built-in offline model answers")
        elif provider.disable:
            yield ok("providers", f"{name} is disabled")
        else:
            yield _of_key(name, provider, env)
    for slot in ("large", "small"):
        if config.selected(slot) is None:
            yield error("models", f"no {slot} model is selected", "name one under `models` in crush.json")


def _of_key(name: str, provider: ProviderConfig, env: Mapping[str, str]) -> Finding:
    if not provider.api_key:
        return ok("providers", f"{name} is asked without a key, at {_host(provider)}")
    try:
        key = expand(provider.api_key, env).strip()
    except ValueError as unset:
        return error("providers", f"{name}: {unset}", "set the variable where the server is started")
    if not key:
        return error(
            "providers", f"the key of {name} ({_template(provider)}) is empty", "set it where the server is started"
        )
    return ok("providers", f"{name} has a key")


def _template(provider: ProviderConfig) -> str:
    return provider.api_key if provider.api_key.startswith("$") else "written in crush.json"


def _host(provider: ProviderConfig) -> str:
    return provider.base_url.partition("://")[2].partition("/")[0].rpartition("@")[2] or "its usual address"


def of_database(path: str, env: Mapping[str, str]) -> Iterator[Finding]:
    """Can the project's database be read, is it whole, and is it one that this program knows?"""
    own = places(env)
    data_dir = nearest_data_directory(path, project_boundary(path), own.home)
    file = os.path.join(data_dir, DATABASE_FILE)
    if not os.path.lexists(file):
        yield ok("database", f"there is none in {data_dir} yet")
        return
    yield from _of_place(file)
    known = len(migrate.scripts())
    try:
        migrate.refuse_unknown(file, known)
        yield from _of_content(file, known)
    except StorageFailed as refused:
        yield error("database", refused.message, "the workspace does not open until this is done")
    except (sqlite3.Error, OSError) as broken:
        yield error("database", f"{file} cannot be read: {broken}", f"move {file}* away; a new one is made")


def _of_place(file: str) -> Iterator[Finding]:
    mode = os.stat(file).st_mode & 0o777
    if mode & 0o077:
        yield warning("database", f"{file} has mode {mode:04o}: others can read your sessions", f"chmod 600 {file}")
    kind = file_system(file)
    if kind.startswith(NETWORK):
        yield warning(
            "database",
            f"{file} lies on {kind}, where SQLite's locks and WAL are not to be relied on",
            "keep the data directory on a local disk (options.data_directory)",
        )


def file_system(path: str) -> str:
    """The type of the file system that the path lies on, empty where nobody can tell."""
    real = os.path.realpath(path)
    mounts = {part.mountpoint.rstrip("/"): part.fstype for part in psutil.disk_partitions(all=True)}
    holding = [mount for mount in mounts if real == mount or real.startswith(f"{mount}/")]
    return mounts[max(holding, key=len)] if holding else ""


def _of_content(file: str, known: int) -> Iterator[Finding]:
    wal = f"{file}-wal"
    is_in_use = os.path.exists(wal) and os.path.getsize(wal) > 0
    with closing(sqlite3.connect(f"{migrate.uri(file)}?{'mode=ro' if is_in_use else 'immutable=1'}", uri=True)) as one:
        (version,) = one.execute("PRAGMA user_version").fetchone()
        faults = _quick_check(one)
    if faults:
        yield error("database", f"{file} is damaged: {faults[0]}", f"stop the server, then restore {file} from a copy")
        return
    size = os.path.getsize(file) // 1024
    how = "whole" if faults is not None else f"too large to check in {QUICK_CHECK_S:.0f} s"
    yield ok("database", f"{file} is {how}: {size} KiB, schema {version} of {known}, on {file_system(file) or '?'}")
    with open(file, "rb") as head:
        is_wal = head.read(20)[18:20] == b"\x02\x02"
    if version and not is_wal:
        yield warning("database", f"{file} is not in WAL mode", "its file system declined it: use a local disk")


def _quick_check(connection: sqlite3.Connection) -> list[str] | None:
    """What is wrong with it; None where that takes too long."""
    deadline = time.monotonic() + QUICK_CHECK_S
    connection.set_progress_handler(lambda: int(time.monotonic() > deadline), 100_000)
    try:
        rows: Iterable[tuple[str]] = connection.execute("PRAGMA quick_check(3)").fetchall()
    except sqlite3.OperationalError as interrupted:
        if "interrupted" in str(interrupted):
            return None
        raise
    return [text for (text,) in rows if text != "ok"]
