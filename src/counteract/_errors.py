"""The one exception that means "the caller can mend this": the command line prints it as a single line."""


class UserError(ValueError):
    """A mistake in what the caller passed in; the message names the argument, what was found and what to do."""
