"""``python -m tests.cli.driver [stall-python|stall-c|plain] ARGUMENTS…``: the command line in a process.

Compile and statistics are fakes; ``stall-…`` makes the compile print ``stalled`` on stderr and then hang, in
Python or inside one long call into C.
"""

import hashlib
import sys
import time
from typing import Any

from tests.household import fakes


def stalled_in_python(*_: Any, **__: Any) -> None:
    print("stalled", file=sys.stderr, flush=True)
    time.sleep(60)


def stalled_in_c(*_: Any, **__: Any) -> None:
    print("stalled", file=sys.stderr, flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 200_000_000)


if __name__ == "__main__":
    how = sys.argv.pop(1)
    fakes.install()
    if how != "plain":
        stall = stalled_in_python if how == "stall-python" else stalled_in_c
        sys.modules["homeedit.editing.compile"].compile_facts = stall  # type: ignore[attr-defined]
    from homeedit.cli.main import run

    run()
