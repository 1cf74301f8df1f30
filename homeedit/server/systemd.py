"""A systemd user unit that keeps the server running, and lets it do nothing else."""

from collections.abc import Sequence
from pathlib import Path

from homeedit.errors import HomeEditError

_UNIT = """\
[Unit]
Description=homeedit, the household's own language model
StartLimitIntervalSec=300
StartLimitBurst=5

[Service]
ExecStart=:{command}
Restart=on-failure
RestartSec=5
TimeoutStopSec=30
UMask=0077

# Only the home can be written; all else of the system is there to be read.
ReadWritePaths={home}
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
ProtectControlGroups=yes
ProtectKernelTunables=yes

# What a server that loads a model and answers needs, and no more. Options that take capabilities away are not
# here: a user's systemd may not, and would refuse to start the unit.
NoNewPrivileges=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM

[Install]
WantedBy=default.target
"""


def user_unit(command: Sequence[str], home: Path) -> str:
    """The text of the unit that runs ``command``, which may write below ``home`` alone.

    Raises:
        HomeEditError: a path or argument has characters that a unit cannot say.
    """
    # The ":" before the command leaves "$" as it is.
    return _UNIT.format(command=" ".join(_quoted(each) for each in command), home=_quoted(str(home)))


def _quoted(text: str) -> str:
    """One word of a unit: white space kept, specifiers (%h …) not read."""
    if not text.isprintable() or any(each in text for each in '"\\'):
        raise HomeEditError(
            f"A systemd unit cannot name {text!r}: it has quotes, backslashes or characters that cannot be seen.",
            "Use a path without them.",
        )
    plain = text.replace("%", "%%")
    return plain if plain and all(each.isalnum() or each in "/._-:=%+,@" for each in plain) else f'"{plain}"'
