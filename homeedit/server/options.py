"""What the server is told when it starts."""

import ipaddress
from dataclasses import dataclass, field

from homeedit import __version__

_MOST_CONNECTIONS = 512
_OTHER_FILES = 64
"""Files that the server opens beside its connections: models, the home, libraries."""


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Where to listen, who may ask, and how much. Seconds and bytes."""

    host: str = "127.0.0.1"
    port: int = 8080
    """0: one that is free."""
    api_key: str | None = field(default=None, repr=False)
    """Asked for on every route but /health; None: nobody is asked for one."""
    origins: tuple[str, ...] = ()
    """Web pages that may ask from a browser, such as ``https://chat.example``."""
    max_body: int = 4 * 1024 * 1024
    max_messages: int = 1024
    max_prompt_characters: int = 200_000
    """Of all messages and tools together."""
    max_connections: int = field(default_factory=lambda: _most_connections())
    """One more is closed at once, so that there are always files left to open."""
    header_seconds: float = 10
    """For the head of a request to be complete."""
    body_seconds: float = 30
    """For the body of a request to be complete."""
    write_seconds: float = 60
    """For a client to read some of what waits for it."""
    stop_seconds: float = 5
    """For running answers to end when the server stops."""
    version: str = __version__

    @property
    def loopback(self) -> bool:
        """Whether only this machine can connect."""
        return is_loopback(self.host)


def _most_connections() -> int:
    """512, or fewer where the system lets a process open fewer files: some are for everything else."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return _MOST_CONNECTIONS
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return _MOST_CONNECTIONS
    return max(1, min(_MOST_CONNECTIONS, files - _OTHER_FILES))


def is_loopback(host: str) -> bool:
    """Whether a host as it stands in an address is this machine; names other than localhost are not."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
