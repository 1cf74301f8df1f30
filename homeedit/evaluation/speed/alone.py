"""``python -m homeedit.evaluation.speed.alone``: one compile and nothing else, for the memory it takes.

Reads the job as JSON from stdin (see ``compiles.measure_memory``), prints ``{"peak": BYTES}``.
"""

import json
import sys
from pathlib import Path

from homeedit.base.store import open_base
from homeedit.editing.compile import compile_facts
from homeedit.editing.recipes import recipe_for
from homeedit.evaluation.speed.machine import peak_memory
from homeedit.facts.fact import Fact
from homeedit.progress import Progress


def main() -> None:
    """Compile what stdin says, from the base model alone."""
    job = json.load(sys.stdin)
    base = open_base(Path(job["models"]), job["name"])
    compile_facts(
        [Fact(**{**fact, "questions": tuple(fact["questions"])}) for fact in job["facts"]],
        base=base,
        kept=[],
        recipe=recipe_for("joint", base),
        seed=job["seed"],
        device=job["device"],
        threads=job["threads"],
        progress=Progress(),
    )
    print(json.dumps({"peak": peak_memory()}))


if __name__ == "__main__":
    main()
