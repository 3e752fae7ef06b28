"""The provider that a config names."""

from fdjax.config import ConfigError
from fdjax.feedback.diagnostics import LEVELS, diagnostics
from fdjax.feedback.protocol import Provider
from fdjax.feedback.shuffled import shuffled


def make_provider(config, *, shuffle: bool | None = None) -> Provider:
    """`config`: the fields of `feedback` in fdjax.config, of which `shuffle` can be set apart.

    Raises ConfigError for an unknown provider or level of help.
    """
    if config.provider != "diagnostics":
        raise ConfigError(f"feedback.provider is {config.provider!r}; known is 'diagnostics'")
    if config.help not in LEVELS:
        raise ConfigError(f"feedback.help is {config.help!r}; known are {', '.join(LEVELS)}")
    provider = diagnostics(config.help)
    return shuffled(provider) if (config.shuffle if shuffle is None else shuffle) else provider
