"""The provider that a config names."""

from fdjax.config import ConfigError
from fdjax.feedback.hints import hint, shortest
from fdjax.feedback.protocol import Provider
from fdjax.feedback.reference import reference
from fdjax.feedback.shuffled import shuffled
from fdjax.feedback.verifier import verifier

_PROVIDERS = {
    "hint": hint,
    "shortest": shortest,
    "reference": reference,
    "verifier": verifier,
}


def make_provider(config) -> Provider:
    """`config`: the fields of fdjax.config.feedback. Raises ConfigError for an unknown name."""
    if config.provider not in _PROVIDERS:
        raise ConfigError(
            f"feedback.provider is {config.provider!r}; known are {', '.join(_PROVIDERS)}"
        )
    chosen = _PROVIDERS[config.provider]
    return shuffled(chosen) if config.shuffled else chosen
