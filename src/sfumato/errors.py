"""Every error that is the user's to mend; anything else that is raised is a fault of ours.

A message says what came, what was expected and what to do, in one or two lines. The command line
turns any of these into exit status 2 and prints the message; it catches nothing else.
"""


class SfumatoError(Exception):
    """The root: to catch it is to tell a mistake in the input from a fault in the program."""


class RequestError(SfumatoError):
    """A wish that cannot be granted: an unknown name, a number out of range, options that clash."""


class PromptError(RequestError):
    """A prompt that the model cannot read whole; the message names the words that fall off."""


class WeightsError(SfumatoError):
    """A model file that is missing, truncated, unsafe, of another kind, or not a model at all."""


class PictureError(SfumatoError):
    """A picture that cannot be read, or that carries no recipe, or not one that can be followed."""


class PaintingError(PictureError):
    """What a model painted is no picture; `wrong` says in a few words why."""

    def __init__(self, wrong: str) -> None:
        self.wrong = wrong
        super().__init__(
            f"what was painted has {wrong}; take a higher --precision, less guidance, or another "
            "--vae."
        )


class OutputError(SfumatoError):
    """A result that cannot be written: no permission, no room, or a format nobody here writes."""


class ConfigError(SfumatoError):
    """A configuration file that cannot be followed: no TOML, an unknown setting, a wrong value."""
