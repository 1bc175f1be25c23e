"""Routes of the agent: its state, its queue, cancelling."""

from txcrush.core.catalogue import CATALOGUE
from txcrush.core.model_choice import default_small_model
from txcrush.core.shell_commands import ShellAnswer
from txcrush.core.workspaces import Workspaces
from txcrush.http.generations import Generations
from txcrush.http.routing import OK, Call, Reply, json_reply, route
from txcrush.model.config import SelectedModel
from txcrush.model.errors import (
    AgentNotInitialized,
    Failed,
    RunFailed,
    SessionNotFound,
    SessionProcessing,
    WorkspaceClosing,
)
from txcrush.wire.parameters import OneProvider
from txcrush.wire.requests import InitAgent, Shell
from txcrush.wire.v1 import NOT_READY, AgentInfo, AgentSessionBody

AGENT = "/v1/workspaces/<workspace_id>/agent"
SESSION = f"{AGENT}/sessions/<session_id>"


class AgentRoutes:
    """One route family. Most of these are asked many times a second and are answered from memory."""

    def __init__(self, workspaces: Workspaces, generations: Generations) -> None:
        self._workspaces = workspaces
        self._generations = generations

    @route("GET", AGENT, answers=AgentInfo)
    def info(self, call: Call) -> Reply:
        """Tell whether the agent is ready and busy, and which model it uses."""
        workspace = self._workspaces.get(call.workspace_id)
        current = workspace.agents.current()
        if not workspace.agents.is_ready or current is None:
            return json_reply(NOT_READY)
        choice, model = current
        return json_reply(AgentInfo(workspace.runs.any_busy, True, model, choice))

    @route("POST", f"{AGENT}/init", InitAgent, optional_body=True, answers=None, errors=(Failed,))
    def init(self, call: Call) -> Reply:
        """Build the agent where that is not done yet. Runs that are under way are left alone."""
        workspace = self._workspaces.get(call.workspace_id)
        workspace.agents.init(interactive=call.body.interactive)
        self._generations.begins(call, workspace)
        return OK

    @route("POST", f"{AGENT}/update", answers=None, errors=(Failed,))
    def update(self, call: Call) -> Reply:
        """Take up the models that are configured now. Runs that are under way keep theirs."""
        self._workspaces.get(call.workspace_id).agents.update()
        return OK

    @route("GET", SESSION, answers=AgentSessionBody, errors=(SessionNotFound,))
    def session(self, call: Call) -> Reply:
        """Tell whether a session is busy. Of the other fields only its id and title are filled."""
        workspace = self._workspaces.get(call.workspace_id)
        session = workspace.sessions.get(call.session_id)
        is_busy = workspace.runs.is_busy(session.id)
        return json_reply(AgentSessionBody(id=session.id, title=session.title, is_busy=is_busy))

    @route("POST", f"{SESSION}/cancel", answers=None)
    def cancel(self, call: Call) -> Reply:
        """Cancel what a session runs, and empty its queue. Answered at once, for any session: what it ends is told on
        the stream."""
        self._workspaces.get(call.workspace_id).runs.cancel(call.session_id)
        return OK

    @route("GET", f"{SESSION}/prompts/queued", answers=int)
    def queued(self, call: Call) -> Reply:
        """Count the prompts that wait for their turn."""
        return json_reply(len(self._workspaces.get(call.workspace_id).runs.queued(call.session_id)))

    @route("GET", f"{SESSION}/prompts/list", answers=list[str] | None)
    def prompts(self, call: Call) -> Reply:
        """List the texts of the prompts that wait for their turn. `null` where there are none."""
        return json_reply(self._workspaces.get(call.workspace_id).runs.queued(call.session_id) or None)

    @route("POST", f"{SESSION}/prompts/clear", answers=None)
    def clear(self, call: Call) -> Reply:
        """Drop the prompts that wait for their turn. The one that runs goes on."""
        self._workspaces.get(call.workspace_id).runs.clear(call.session_id)
        return OK

    @route("GET", f"{AGENT}/default-small-model", answers=SelectedModel, query=OneProvider)
    def small_model(self, call: Call) -> Reply:
        """Name the model that suits small tasks with a provider. Its large model where it has no other."""
        workspace = self._workspaces.get(call.workspace_id)
        choice = default_small_model(workspace.settings.config, call.query("provider_id"), CATALOGUE)
        return json_reply(choice if choice is not None else NOT_READY.model_cfg)

    @route(
        "POST",
        f"{SESSION}/summarize",
        answers=None,
        errors=(AgentNotInitialized, SessionProcessing, WorkspaceClosing, RunFailed),
    )
    async def summarize(self, call: Call) -> Reply:
        """Summarise a session, which goes on from the summary. Held until that is done, which a dropped connection does
        not stop."""
        workspace = self._workspaces.get(call.workspace_id)
        if not workspace.agents.is_ready:
            raise AgentNotInitialized
        await workspace.summaries.start(call.session_id).when_done()
        return OK

    @route("POST", f"{SESSION}/shell", Shell, cancellable=True, answers=ShellAnswer, errors=(WorkspaceClosing,))
    async def shell(self, call: Call) -> Reply:
        """Run a shell command of the user's. Held until it has ended; dropping the connection ends it."""
        commands = self._workspaces.get(call.workspace_id).shell_commands
        answer = await commands.run(call.session_id, call.body.command, call.body.term_width)
        return json_reply(answer)
