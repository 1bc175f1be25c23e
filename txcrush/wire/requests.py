"""The bodies of requests, in the reference's names. Every field has a default: absent and `null` mean the same."""

from typing import Any

from msgspec import UNSET, Struct, UnsetType, field

from txcrush.model.config import SelectedModel
from txcrush.model.runs import Attachment
from txcrush.model.sessions import Todo


class Control(Struct):
    command: str = ""


class CreateWorkspace(Struct):
    path: str = ""
    client_id: str = ""
    data_dir: str = ""
    debug: bool = False
    yolo: bool = False
    env: list[str] = []
    channels: list[str] = []
    version: str = ""


class CurrentSession(Struct):
    session_id: str = ""


class CreateSession(Struct):
    title: str = ""


class PutSession(Struct):
    """Fields that are absent keep their value. The Go spelling (`PromptTokens`) is accepted beside the wire's."""

    id: str = ""
    title: str | UnsetType = UNSET
    prompt_tokens: int | UnsetType = UNSET
    completion_tokens: int | UnsetType = UNSET
    summary_message_id: str | UnsetType = UNSET
    cost: float | UnsetType = UNSET
    todos: tuple[Todo, ...] | UnsetType = UNSET
    go_prompt_tokens: int | UnsetType = field(default=UNSET, name="PromptTokens")
    go_completion_tokens: int | UnsetType = field(default=UNSET, name="CompletionTokens")
    go_summary_message_id: str | UnsetType = field(default=UNSET, name="SummaryMessageID")


class SubmitPrompt(Struct):
    session_id: str = ""
    run_id: str = ""
    prompt: str = ""
    attachments: tuple[Attachment, ...] = ()
    when_busy: str = ""
    max_cost: float | None = None
    max_tokens: int | None = None
    max_steps: int | None = None
    max_seconds: float | None = None


class InitAgent(Struct):
    interactive: bool = False


class Shell(Struct):
    command: str = ""
    term_width: int = 0


class Skip(Struct):
    skip: bool = False


class PutPolicy(Struct):
    """Fields that are absent keep their value."""

    unanswered: str | UnsetType = UNSET
    skip: bool | UnsetType = UNSET


class PermissionAnswer(Struct):
    """Which request, and what to do. Only `id` of the request is believed; its shape is checked all the same."""

    id: str = ""
    session_id: str = ""
    tool_call_id: str = ""
    tool_name: str = ""
    description: str = ""
    action: str = ""
    path: str = ""
    params: Any = UNSET


class Grant(Struct):
    permission: PermissionAnswer | UnsetType = UNSET
    action: str = ""


class QuestionResponse(Struct):
    request_id: str = ""
    selected_ids: list[str] = []
    fill_in_text: str = ""
    yes: bool | None = None
    notes: dict[str, str] = {}


class Answer(Struct):
    batch_request_id: str = ""
    responses: list[QuestionResponse] = []


class FileRead(Struct):
    session_id: str = ""
    path: str = ""


class StartLsp(Struct):
    path: str = ""


class SetConfig(Struct):
    scope: int = 0
    key: str = ""
    value: Any = None


class RemoveConfig(Struct):
    scope: int = 0
    key: str = ""


class SetModel(Struct):
    scope: int = 0
    model_type: str = ""
    model: SelectedModel = SelectedModel(model="", provider="")


class SetCompact(Struct):
    scope: int = 0
    enabled: bool = False


class SetProviderKey(Struct):
    scope: int = 0
    provider_id: str = ""
    kind: str = ""
    api_key: Any = UNSET


class RefreshOAuth(Struct):
    scope: int = 0
    provider_id: str = ""


class ReadSkill(Struct):
    skill_id: str = ""


class McpName(Struct):
    name: str = ""


class McpResource(Struct):
    name: str = ""
    uri: str = ""


class McpPrompt(Struct):
    client_id: str = ""
    prompt_id: str = ""
    args: dict[str, str] = {}
