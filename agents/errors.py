"""Everything that can go wrong in Repartee, as one tree.

ReparteeError
├── ClientError        the client sent something wrong: an error event, the session lives
├── ConfigurationError an agent, account or setting is wrong: says what to change
├── ProviderError      a model service failed: the fallback is tried, else a spoken apology
│   ├── ProviderTimeout   it neither answered nor failed in time
│   │   └── DeadlineExceeded  nor by the deadline that the client or the agent set
│   ├── InvalidOutput     what it wrote does not satisfy the agent's schema
│   └── ContextFull       the conversation is longer than the model can read
├── ToolError          a tool failed: its message goes back to the brain
└── Overloaded         a bound was reached: the caller is told to come back later

A class's docstring is its default message. Anything else that is raised is a bug.
"""


class ReparteeError(Exception):
    """Something went wrong."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class ClientError(ReparteeError):
    """The request is not valid.

    `code` and `param` are what the client sees beside the message; `param` is a dotted path.
    """

    def __init__(self, message: str, *, code: str = "invalid_value", param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.param = param


class ConfigurationError(ReparteeError):
    """The configuration is not valid."""


class ProviderError(ReparteeError):
    """A provider failed.

    `retryable` says whether the same call may succeed elsewhere or later; a refused key or an
    unknown model is not retryable on the same account, but a fallback account is still tried. `code` is what
    a client reads of a response that failed.
    """

    code: str | None = None

    def __init__(self, message: str | None = None, *, provider: str = "", retryable: bool = True) -> None:
        super().__init__(message)
        self.provider = provider
        self.retryable = retryable


class ProviderTimeout(ProviderError):
    """A provider did not answer in time."""


class DeadlineExceeded(ProviderTimeout):
    """The answer was not ready by its deadline."""

    code = "deadline_exceeded"


class InvalidOutput(ProviderError):
    """The output does not satisfy its schema."""

    code = "invalid_output"


class ContextFull(ProviderError):
    """The conversation is longer than the model can read."""

    code = "context_length_exceeded"


class ToolError(ReparteeError):
    """The tool failed."""


class Overloaded(ReparteeError):
    """Too much at once; try again shortly."""
