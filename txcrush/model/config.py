"""The configuration of a workspace in the reference's shape (`protocol.md` 5.3), in files and on the wire.

Fields with a default are left out of JSON where they hold it; fields without one are always there. Unknown keys of a
file are ignored.
"""

from msgspec import Struct, field
from msgspec.structs import replace


class SelectedModel(Struct, frozen=True, omit_defaults=True):
    """The model chosen for a slot (`large`, `small`). `max_tokens` 0 means that nothing was chosen."""

    model: str
    provider: str
    reasoning_effort: str = ""
    think: bool = False
    max_tokens: int = 0
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    provider_options: dict[str, object] = {}


class ModelOptions(Struct, frozen=True, omit_defaults=True):
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    provider_options: dict[str, object] = {}


class Model(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A model of a provider. Costs are US dollars per million tokens, window and limit are tokens."""

    id: str
    name: str
    cost_per_1m_in: float
    cost_per_1m_out: float
    cost_per_1m_in_cached: float
    cost_per_1m_out_cached: float
    context_window: int
    default_max_tokens: int
    can_reason: bool
    reasoning_levels: tuple[str, ...] = ()
    default_reasoning_effort: str = ""
    supports_attachments: bool
    options: ModelOptions | None = None


class Token(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An OAuth token; `expires_in` is seconds, `expires_at` Unix seconds."""

    access_token: str
    refresh_token: str = ""
    expires_in: int
    expires_at: int
    client: dict[str, object] = {}


class ProviderConfig(Struct, frozen=True, omit_defaults=True):
    """A provider. `api_key` and `base_url` stay templates (`$OPENAI_API_KEY`), expanded when a model is built."""

    id: str = ""
    name: str = ""
    base_url: str = ""
    type: str = ""
    api_key: str = ""
    oauth: Token | None = None
    disable: bool = False
    system_prompt_prefix: str = ""
    extra_headers: dict[str, str] = {}
    extra_body: dict[str, object] = {}
    provider_options: dict[str, object] = {}
    aws_auth_refresh: str = ""
    flat_rate: bool = False
    discover_models: bool | None = None
    models: tuple[Model, ...] = ()

    def model(self, model_id: str) -> Model | None:
        return next((model for model in self.models if model.id == model_id), None)


class Completions(Struct, frozen=True, omit_defaults=True):
    max_depth: int | None = None
    max_items: int | None = None


class TuiOptions(Struct, frozen=True, omit_defaults=True):
    compact_mode: bool = False
    diff_mode: str = ""
    completions: Completions | None = None
    transparent: bool | None = None
    scrollbar: str = ""


class Attribution(Struct, frozen=True, omit_defaults=True):
    trailer_style: str = ""
    co_authored_by: bool | None = None
    generated_with: bool = False


class Options(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """`tui` is always there: the real client crashes without it."""

    context_paths: tuple[str, ...] = ()
    global_context_paths: tuple[str, ...] = ()
    skills_paths: tuple[str, ...] = ()
    tui: TuiOptions
    debug: bool = False
    debug_lsp: bool = False
    disable_auto_summarize: bool = False
    data_directory: str = ""
    disabled_tools: tuple[str, ...] = ()
    disable_provider_auto_update: bool = False
    disable_default_providers: bool = False
    attribution: Attribution | None = None
    disable_metrics: bool = False
    initialize_as: str = ""
    auto_lsp: bool | None = None
    progress: bool | None = None
    notifications: str = ""
    disabled_skills: tuple[str, ...] = ()


class Permissions(Struct, frozen=True, omit_defaults=True):
    allowed_tools: tuple[str, ...] = ()


class ListLimits(Struct, frozen=True, omit_defaults=True):
    max_depth: int | None = None
    max_items: int | None = None


class Timeout(Struct, frozen=True, omit_defaults=True):
    """Nanoseconds."""

    timeout: int | None = None


class ToolLimits(Struct, frozen=True, omit_defaults=True):
    ls: ListLimits | None = None
    grep: Timeout | None = None
    glob: Timeout | None = None


class Config(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What a workspace runs with. `mcp`, `lsp` and `hooks` are kept as written until their features read them."""

    schema: str = field(default="", name="$schema")
    models: dict[str, SelectedModel] = {}
    recent_models: dict[str, tuple[SelectedModel, ...]] = {}
    providers: dict[str, ProviderConfig]
    mcp: dict[str, object] = {}
    lsp: dict[str, object] = {}
    options: Options
    permissions: Permissions | None = None
    tools: ToolLimits | None = None
    hooks: dict[str, object] = {}
    env: dict[str, str] = {}

    @property
    def has_provider(self) -> bool:
        """Whether an agent can be built at all."""
        return any(not provider.disable for provider in self.providers.values())

    def selected(self, slot: str) -> tuple[SelectedModel, Model] | None:
        """The choice for a slot and its model, or None where they are not configured."""
        choice = self.models.get(slot)
        provider = self.providers.get(choice.provider) if choice else None
        model = provider.model(choice.model) if choice and provider else None
        return (choice, model) if choice and model else None

    def with_model(self, slot: str, choice: SelectedModel) -> "Config":
        return replace(self, models={**self.models, slot: choice})
