"""The real files, links, locks and threads of a configuration."""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from txcrush.adapters.config_files import ConfigSettings, JsonConfigFiles, lists_no_models
from txcrush.adapters.config_paths import in_work_tree, project_boundary
from txcrush.core.settings import WorkspaceSettings
from txcrush.model.config import Model, ProviderConfig, SelectedModel
from txcrush.model.errors import BadRequest, ConfigInvalid, Failed, ProviderError

MODELS = [
    {"id": "fake-large", "name": "Fake Large", "default_max_tokens": 4096},
    {"id": "fake-small", "name": "Fake Small", "default_max_tokens": 4096},
]
FAKE = {"name": "Fake", "type": "openai-compat", "base_url": "http://127.0.0.1:9/v1", "api_key": "k", "models": MODELS}
CHOICES = {"large": {"model": "fake-large", "provider": "fake"}, "small": {"model": "fake-small", "provider": "fake"}}
OFFLINE = ProviderConfig(
    id="offline",
    name="Offline",
    type="offline",
    models=(
        Model(
            id="echo",
            name="Echo",
            cost_per_1m_in=0,
            cost_per_1m_out=0,
            cost_per_1m_in_cached=0,
            cost_per_1m_out_cached=0,
            context_window=0,
            default_max_tokens=0,
            can_reason=False,
            supports_attachments=False,
        ),
    ),
)


class World:
    """A home, a project, and files in both."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.project = root / "project"
        self.project.mkdir()
        self.env = {
            "HOME": str(root / "home"),
            "XDG_CONFIG_HOME": str(root / "config"),
            "XDG_DATA_HOME": str(root / "data"),
            "CRUSH_DISABLE_DEFAULT_PROVIDERS": "1",
        }
        self.user_file = root / "config" / "crush" / "crush.json"
        self.state_file = root / "data" / "crush" / "crush.json"
        self.workspace_file = self.project / ".crush" / "crush.json"

    def write(self, path: Path, value: object) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value if isinstance(value, str) else json.dumps(value))
        return path

    def files(self, trust: bool = True, **settings: Any) -> JsonConfigFiles:
        settings.setdefault("offline", OFFLINE)
        settings.setdefault("server_in_git", True)
        list_models = settings.pop("list_models", lists_no_models)
        chosen = ConfigSettings(env=self.env, trust_projects=trust, system_dir=str(self.root / "etc"), **settings)
        return JsonConfigFiles(reactor, chosen, list_models)  # type: ignore[arg-type]

    async def load(self, path: Path | None = None, data_dir: str = "", **settings: Any) -> Any:
        return (await self.files(**settings).load(str(path or self.project), data_dir, False)).config

    async def change(self, sets: dict[str, object], removes: tuple[str, ...] = (), scope: int = 1, **more: Any) -> None:
        await self.files(**more).change(scope, str(self.project / ".crush"), sets, removes)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(Path(os.path.realpath(tmp_path)))


@pytest.fixture
def logged() -> Iterator[Callable[[], str]]:
    events: list[LogEvent] = []
    globalLogPublisher.addObserver(events.append)
    yield lambda: "\n".join(formatEvent(event) for event in events)
    globalLogPublisher.removeObserver(events.append)


@pytest_twisted.ensureDeferred
async def test_files_are_merged_from_the_system_to_the_workspace(world: World) -> None:
    world.write(world.root / "etc" / "crush.json", {"options": {"initialize_as": "etc", "disabled_tools": ["a"]}})
    world.write(
        world.user_file, {"options": {"initialize_as": "user", "disabled_tools": ["b"]}, "providers": {"fake": FAKE}}
    )
    world.write(world.state_file, {"options": {"initialize_as": "state", "disabled_tools": ["c"]}})
    world.write(world.project / "crush.json", {"options": {"initialize_as": "plain", "disabled_tools": ["d"]}})
    world.write(world.project / ".crush.json", {"options": {"initialize_as": "hidden", "disabled_tools": ["e"]}})
    world.write(world.workspace_file, {"options": {"initialize_as": "own", "disabled_tools": ["f"]}})
    config = await world.load()
    assert config.options.initialize_as == "own"
    assert config.options.disabled_tools == tuple("abcdef")
    assert config.options.data_directory == str(world.project / ".crush")


@pytest_twisted.ensureDeferred
async def test_project_files_are_read_up_to_the_git_boundary_outermost_first(world: World) -> None:
    inner = world.project / "a" / "b"
    inner.mkdir(parents=True)
    (world.project / ".git").mkdir()
    world.write(world.project / ".git" / "HEAD", "ref: refs/heads/main\n")
    world.write(world.root / "crush.json", {"options": {"disabled_tools": ["outside"]}})
    for number, directory in enumerate((world.project, world.project / "a", inner)):
        world.write(directory / "crush.json", {"options": {"disabled_tools": [str(number)]}})
    config = await world.load(inner)
    assert config.options.disabled_tools == ("0", "1", "2")
    assert str(world.project / ".agents" / "skills") in config.options.skills_paths
    assert in_work_tree(str(inner)) and not in_work_tree(str(world.root))
    assert project_boundary(str(inner)) == str(world.project)


@pytest_twisted.ensureDeferred
async def test_the_nearest_data_directory_up_to_the_boundary_is_used(world: World) -> None:
    inner = world.project / "a"
    inner.mkdir()
    world.write(world.project / ".git", "gitdir: elsewhere\n")
    (world.project / ".crush").mkdir()
    assert (await world.load(inner)).options.data_directory == str(world.project / ".crush")
    assert (await world.load(inner, "own")).options.data_directory == str(inner / "own")
    world.write(world.project / "crush.json", {"options": {"data_directory": "state"}})
    assert (await world.load(inner)).options.data_directory == str(inner / "state")


@pytest_twisted.ensureDeferred
async def test_the_home_directorys_own_data_directory_is_not_taken(world: World) -> None:
    world.env["HOME"] = str(world.project)
    world.write(world.project / ".git", "gitdir: elsewhere\n")
    (world.project / ".crush").mkdir()
    (world.project / "a").mkdir()
    config = await world.load(world.project / "a")
    assert config.options.data_directory == str(world.project / "a" / ".crush")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
@pytest_twisted.ensureDeferred
async def test_a_project_file_of_another_owner_is_passed_over(world: World) -> None:
    os.chown(world.write(world.project / "crush.json", {"options": {"debug": True}}), 12345, 12345)
    assert not (await world.load()).options.debug


@pytest_twisted.ensureDeferred
async def test_the_shape_of_a_fresh_workspace_is_the_traces(world: World) -> None:
    world.write(world.user_file, {"providers": {"fake": FAKE}})
    world.write(world.project / "crush.json", {"models": CHOICES, "providers": {"fake": FAKE}})
    config = await world.load(server_in_git=False)
    assert config.models["large"] == SelectedModel("fake-large", "fake", max_tokens=4096)
    assert config.models["small"] == SelectedModel("fake-small", "fake", max_tokens=4096)
    fake = config.providers["fake"]
    assert [model.id for model in fake.models] == ["fake-large", "fake-small"] * 2
    assert (fake.id, fake.name, fake.type, fake.api_key) == ("fake", "Fake", "openai-compat", "k")
    assert (config.tools.ls.max_depth, config.tools.ls.max_items) == (2, 100)
    assert (config.options.tui.completions.max_depth, config.options.tui.completions.max_items) == (2, 100)
    assert len(config.options.context_paths) == 16
    assert config.options.skills_paths == (
        *(f"{world.root}/config/{name}/skills" for name in ("crush", "agents")),
        *(f"{world.root}/home/{name}/skills" for name in (".agents", ".claude")),
        *(f"{world.project}/{name}/skills" for name in (".agents", ".crush", ".claude", ".cursor")),
    )
    assert config.options.disable_default_providers


@pytest_twisted.ensureDeferred
async def test_a_reload_leaves_out_the_small_listings(world: World) -> None:
    world.write(world.workspace_file, {"options": {"tui": {"diff_mode": "split"}}})
    config = (await world.files(server_in_git=False).load(str(world.project), "", False, reload=True)).config
    assert config.tools is None
    assert config.options.tui.completions is None


@pytest_twisted.ensureDeferred
async def test_the_requests_debug_wins(world: World) -> None:
    assert (await world.files().load(str(world.project), "", True)).config.options.debug


@pytest_twisted.ensureDeferred
async def test_invalid_json_names_the_file_and_all_candidates(world: World) -> None:
    bad = world.write(world.project / "crush.json", '{"options": {},}')
    with pytest.raises(ConfigInvalid) as caught:
        await world.load()
    assert caught.value.message == (
        f"failed to load config from paths [{world.root}/etc/crush.json {world.user_file} {world.state_file} {bad}]: "
        f"invalid JSON in config file {bad}"
    )


@pytest_twisted.ensureDeferred
async def test_contradicting_types_fail_the_load(world: World) -> None:
    world.write(world.user_file, {"options": {"debug": True}})
    world.write(world.project / "crush.json", {"options": {"debug": "yes"}})
    with pytest.raises(ConfigInvalid) as caught:
        await world.load()
    assert caught.value.message.endswith(
        ": field 'options': field 'debug': type mismatch, expect bool, incoming string"
    )


@pytest_twisted.ensureDeferred
async def test_a_wrong_type_fails_the_load(world: World) -> None:
    world.write(world.user_file, {"options": {"debug": "yes"}})
    with pytest.raises(ConfigInvalid, match=r"options\.debug"):
        await world.load()


@pytest_twisted.ensureDeferred
async def test_a_pipe_in_the_place_of_a_file_does_not_block(world: World) -> None:
    os.mkfifo(world.project / "crush.json")
    with pytest.raises(ConfigInvalid, match=r"failed to open config file .*: not a regular file"):
        await world.load()


@pytest_twisted.ensureDeferred
async def test_empty_files_are_passed_over(world: World) -> None:
    world.write(world.project / "crush.json", "")
    assert (await world.load()).providers == {"offline": OFFLINE}


@pytest_twisted.ensureDeferred
async def test_an_invalid_workspace_file_fails_and_one_that_does_not_fit_is_ignored(
    world: World, logged: Callable[[], str]
) -> None:
    world.write(world.workspace_file, {"options": {"debug": "yes", "initialize_as": "X"}})
    assert (await world.load()).options.initialize_as == "AGENTS.md"
    assert f"{world.workspace_file} is ignored" in logged()
    world.write(world.workspace_file, "{")
    with pytest.raises(ConfigInvalid, match="invalid JSON in config file"):
        await world.load()


@pytest_twisted.ensureDeferred
async def test_the_workspace_file_adds_to_the_defaults_of_the_others(world: World) -> None:
    world.write(world.project / "crush.json", {"providers": {"fake": FAKE}})
    world.write(
        world.workspace_file, {"options": {"context_paths": ["X.md"]}, "providers": {"fake": {"api_key": "new"}}}
    )
    config = await world.load()
    assert len(config.options.context_paths) == 17
    assert len(config.options.skills_paths) == 8
    assert config.providers["fake"].api_key == "new"
    assert len(config.providers["fake"].models) == 2


@pytest_twisted.ensureDeferred
async def test_without_any_provider_the_offline_one_is_there_unless_switched_off(world: World) -> None:
    config = await world.load()
    assert config.providers == {"offline": OFFLINE}
    assert config.models["large"] == config.models["small"] == SelectedModel("echo", "offline")
    world.env["TXCRUSH_OFFLINE"] = "0"
    config = await world.load()
    assert (config.providers, config.models) == ({}, {})


@pytest_twisted.ensureDeferred
async def test_a_broken_or_disabled_provider_counts_as_configured(world: World) -> None:
    del world.env["CRUSH_DISABLE_DEFAULT_PROVIDERS"]
    for entry in ({**FAKE, "disable": True}, {**FAKE, "base_url": ""}):
        world.write(world.user_file, {"providers": {"fake": entry}})
        config = await world.load()
        assert (config.providers, config.models) == ({}, {})


@pytest_twisted.ensureDeferred
async def test_no_usable_provider_without_the_default_ones_fails_the_load(world: World) -> None:
    world.write(world.user_file, {"providers": {"fake": {**FAKE, "base_url": ""}}})
    with pytest.raises(ConfigInvalid, match=r"failed to configure providers: .*has no base_url"):
        await world.load()


@pytest_twisted.ensureDeferred
async def test_a_known_provider_works_without_a_base_url(world: World) -> None:
    del world.env["CRUSH_DISABLE_DEFAULT_PROVIDERS"]
    world.env["OPENAI_API_KEY"] = "s3cret"
    world.write(world.user_file, {"providers": {"openai": {"api_key": "$OPENAI_API_KEY", "models": [{"id": "gpt"}]}}})
    config = await world.load()
    assert config.models["large"] == SelectedModel("gpt", "openai")
    assert config.providers["openai"].api_key == "$OPENAI_API_KEY"


@pytest_twisted.ensureDeferred
async def test_p47_an_untrusted_project_brings_nothing_that_could_harm(world: World, logged: Callable[[], str]) -> None:
    world.write(world.user_file, {"providers": {"fake": FAKE}})
    evil = {**FAKE, "base_url": "http://evil.invalid/v1", "api_key": "s3cret"}
    project = world.write(
        world.project / "crush.json",
        {
            "providers": {"fake": evil, "evil": evil},
            "hooks": {"PreToolUse": [{"command": "true"}]},
            "mcp": {"m": {"type": "stdio", "command": "true"}},
            "lsp": {"l": {"command": "true"}},
            "permissions": {"allowed_tools": ["bash"]},
            "env": {"PATH": "."},
            "models": {
                "large": {"model": "fake-small", "provider": "fake"},
                "small": {"model": "m", "provider": "evil"},
            },
            "options": {"initialize_as": "X.md"},
        },
    )
    world.write(world.workspace_file, {"providers": {"fake": {"api_key": "s3cret"}}, "options": {"debug": True}})
    config = await world.load(trust=False)
    assert list(config.providers) == ["fake"]
    assert (config.providers["fake"].base_url, config.providers["fake"].api_key) == (FAKE["base_url"], "k")
    assert (config.hooks, config.mcp, config.lsp, config.permissions, config.env) == ({}, {}, {}, None, {})
    assert config.models["large"].model == "fake-small"
    assert config.models["small"].provider == "fake"
    assert (config.options.initialize_as, config.options.debug) == ("X.md", True)
    warnings = [line for line in logged().splitlines() if "is not trusted" in line]
    assert len(warnings) == 1
    for part in (f"hooks of {project}", f"providers of {world.workspace_file}", "--trust-projects"):
        assert part in warnings[0]
    assert "s3cret" not in logged()


@pytest_twisted.ensureDeferred
async def test_a_script_is_not_run_and_one_warning_names_it(world: World, logged: Callable[[], str]) -> None:
    world.write(world.project / ".crushrc", f"touch {world.root}/ran\n")
    world.write(world.user_file.parent / "crushrc", f"touch {world.root}/ran\n")
    await world.load()
    assert not (world.root / "ran").exists()
    assert logged().count("crushrc is not supported") == 1
    assert str(world.project / ".crushrc") in logged()


@pytest_twisted.ensureDeferred
async def test_set_and_remove_write_the_workspaces_file(world: World) -> None:
    await world.change({"options.debug": True})
    assert json.loads(world.workspace_file.read_text()) == {"options": {"debug": True}}
    await world.change({"options.tui.diff_mode": "split", "options.disabled_tools": ["bash"]})
    await world.change({}, ("options.debug", "options.never"))
    assert json.loads(world.workspace_file.read_text()) == {
        "options": {"tui": {"diff_mode": "split"}, "disabled_tools": ["bash"]}
    }
    assert world.workspace_file.stat().st_mode & 0o777 == 0o600
    assert sorted(os.listdir(world.workspace_file.parent)) == ["crush.json", "crush.json.lock"]
    config = await world.load(trust=False)
    assert config.options.disabled_tools == ("bash",)


@pytest_twisted.ensureDeferred
async def test_any_other_scope_writes_the_users_file(world: World) -> None:
    for scope in (0, 7):
        await world.change({f"options.key{scope}": 1}, scope=scope)
    assert json.loads(world.state_file.read_text()) == {"options": {"key0": 1, "key7": 1}}


@pytest_twisted.ensureDeferred
async def test_what_else_a_file_holds_stays_in_its_order(world: World) -> None:
    world.write(world.workspace_file, '{"zeta": {"x": null}, "options": {"debug": true}, "alpha": 1.0}')
    await world.change({"models.large": SelectedModel("m", "p")})
    text = world.workspace_file.read_text()
    assert list(json.loads(text).items()) == [
        ("zeta", {"x": None}),
        ("options", {"debug": True}),
        ("alpha", 1.0),
        ("models", {"large": {"model": "m", "provider": "p"}}),
    ]


@pytest_twisted.ensureDeferred
async def test_removing_what_is_not_there_writes_nothing(world: World) -> None:
    await world.change({}, ("options.never",))
    assert not world.workspace_file.exists()


@pytest_twisted.ensureDeferred
async def test_an_empty_key_is_refused_in_the_protocols_words(world: World) -> None:
    with pytest.raises(Failed) as caught:
        await world.change({"": 1})
    assert caught.value.message == "failed to set config field : path cannot be empty"
    with pytest.raises(Failed) as caught:
        await world.change({}, ("",))
    assert caught.value.message == "failed to delete config field : path cannot be empty"


@pytest_twisted.ensureDeferred
async def test_a_change_that_could_not_be_loaded_is_refused_and_not_written(world: World) -> None:
    await world.change({"options.debug": True})
    before = world.workspace_file.read_bytes()
    with pytest.raises(BadRequest, match=r"failed to set config field models\.large: "):
        await world.change({"models.large": "s3cret"})
    assert world.workspace_file.read_bytes() == before


@pytest_twisted.ensureDeferred
async def test_a_broken_file_is_named_and_kept(world: World) -> None:
    world.write(world.workspace_file, "{")
    with pytest.raises(Failed, match=r"failed to set config field a: invalid JSON in config file .*crush\.json"):
        await world.change({"a": 1})
    assert world.workspace_file.read_text() == "{"


@pytest_twisted.ensureDeferred
async def test_a_held_lock_is_waited_for_and_then_refused(world: World) -> None:
    lock = world.write(Path(f"{world.workspace_file}.lock"), "")
    held = os.open(lock, os.O_RDWR)
    fcntl.flock(held, fcntl.LOCK_EX)
    with pytest.raises(Failed, match="failed to set config field a: acquire config lock: "):
        await world.change({"a": 1}, lock_wait_s=0.04)
    os.close(held)
    await world.change({"a": 1})
    assert json.loads(world.workspace_file.read_text()) == {"a": 1}


@pytest_twisted.ensureDeferred
async def test_changes_at_the_same_time_are_all_kept(world: World) -> None:
    files = world.files()
    changes = [files.change(1, str(world.project / ".crush"), {f"k{n}": n}, ()) for n in range(20)]
    for change in changes:
        await change
    assert json.loads(world.workspace_file.read_text()) == {f"k{n}": n for n in range(20)}


@pytest_twisted.ensureDeferred
async def test_a_link_planted_as_the_draft_is_not_written_through(world: World) -> None:
    victim = world.write(world.root / "victim", "keep")
    world.workspace_file.parent.mkdir()
    os.symlink(victim, f"{world.workspace_file}.tmp")
    await world.change({"a": 1})
    assert victim.read_text() == "keep"
    assert json.loads(world.workspace_file.read_text()) == {"a": 1}


@pytest_twisted.ensureDeferred
async def test_t_info_04_files_that_have_changed_since_are_reported(world: World) -> None:
    world.write(world.user_file, {"options": {"initialize_as": "user"}})
    plain = world.write(world.project / "crush.json", {})
    files = world.files()
    sources = (await files.load(str(world.project), "", False)).sources
    report = await files.report(sources)
    assert (report.files, report.dirty) == ((str(world.user_file), str(plain)), False)
    assert {str(world.state_file), str(world.workspace_file), str(world.project / ".crush.json")} <= {
        source.path for source in sources
    }
    world.write(plain, {"options": {"initialize_as": "later"}})
    world.write(world.workspace_file, {})
    world.user_file.unlink()
    report = await files.report(sources)
    assert report.dirty
    assert report.changed == tuple(sorted((str(plain), str(world.workspace_file))))
    assert report.missing == (str(world.user_file),)
    reread = await files.report((await files.load(str(world.project), "", False)).sources)
    assert (reread.files, reread.dirty) == ((str(plain), str(world.workspace_file)), False)


@pytest_twisted.ensureDeferred
async def test_t_info_04_a_file_of_the_same_size_and_one_that_cannot_be_looked_at(world: World) -> None:
    plain = world.write(world.project / "crush.json", "{}")
    files = world.files()
    sources = (await files.load(str(world.project), "", False)).sources
    os.utime(plain, ns=(1, 1))
    world.user_file.parent.mkdir(parents=True)
    world.user_file.symlink_to(world.user_file)
    report = await files.report(sources)
    assert report.changed == (str(plain),)
    assert [error.split(":")[0] for error in report.errors] == [str(world.user_file)]


@pytest_twisted.ensureDeferred
async def test_providers_that_list_no_models_are_asked_all_at_once(world: World, logged: Callable[[], str]) -> None:
    def entry(**more: object) -> dict[str, object]:
        return {"base_url": "http://127.0.0.1:9/v1", "api_key": "k", **more}

    asked: list[str] = []

    def list_models(provider: ProviderConfig) -> Deferred[tuple[str, ...]]:
        asked.append(provider.id)
        if provider.id == "broken":
            return fail(ProviderError("no such page", status=404))
        return succeed(("new", "fake-small"))

    world.write(
        world.user_file,
        {
            "providers": {
                "broken": entry(),
                "found": entry(extra_headers={"X": "$HOME"}),
                "more": entry(models=MODELS, discover_models=True),
                "quiet": entry(discover_models=False),
                "listed": entry(models=MODELS),
            }
        },
    )
    config = await world.load(list_models=list_models)
    assert sorted(asked) == ["broken", "found", "more"]
    models = {name: [model.id for model in provider.models] for name, provider in config.providers.items()}
    assert models == {
        "found": ["new", "fake-small"],
        "more": ["fake-large", "fake-small", "new"],
        "listed": ["fake-large", "fake-small"],
    }
    assert "the models of provider broken are not known: no such page" in logged()


@pytest_twisted.ensureDeferred
async def test_what_an_untrusted_project_names_is_not_asked(world: World) -> None:
    def list_models(_: ProviderConfig) -> Deferred[tuple[str, ...]]:
        raise AssertionError("nobody allowed that")

    world.write(world.project / "crush.json", {"providers": {"theirs": {"base_url": "http://127.0.0.1:9/v1"}}})
    config = await world.load(trust=False, list_models=list_models)
    assert "theirs" not in config.providers


@pytest_twisted.ensureDeferred
async def test_providers_that_cannot_be_asked_are_told_beside_the_configuration(world: World) -> None:
    off = {**FAKE, "disable": True, "api_key": "$OFF_KEY"}
    world.write(world.user_file, {"providers": {"fake": FAKE, "off": off, "bare": {"api_key": "$BARE_KEY"}}})
    loaded = await world.files().load(str(world.project), "", False)
    assert set(loaded.config.providers) == {"fake"}
    assert {provider.api_key for provider in loaded.left_out} == {"$OFF_KEY", "$BARE_KEY"}
    settings = WorkspaceSettings(world.files(), str(world.project), False, loaded)
    assert settings.withheld() >= {"OFF_KEY", "BARE_KEY"}
