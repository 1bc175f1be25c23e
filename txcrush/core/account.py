"""What one run has used so far."""

from dataclasses import dataclass


@dataclass
class Account:
    """A run's own figures, for its line in the log; nothing else depends on them. What it may use is in its ledger.

    Times are Unix seconds, 0 where it has not come to that. `error_code` names the error that stopped it.
    """

    client_id: str = ""
    provider: str = ""
    model: str = ""
    error_code: str = ""
    accepted_s: float = 0.0
    began_s: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0

    def step(self, provider: str, model: str, input_tokens: int, output_tokens: int) -> None:
        """Add one answer of a model."""
        self.provider, self.model = provider, model
        self.input_tokens += input_tokens
        self.output_tokens += output_tokens
