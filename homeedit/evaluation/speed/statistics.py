"""The statistics of preserved knowledge: their size, and what making them takes."""

import time
from collections.abc import Iterator

from homeedit.editing.statistics import Statistics, make_statistics
from homeedit.evaluation.speed.commands import link_base
from homeedit.evaluation.speed.measurement import Measurement
from homeedit.evaluation.speed.setup import Setup


def measure(setup: Setup) -> Iterator[Measurement]:
    """Megabytes of the file; with ``new_statistics`` the seconds to make it anew, elsewhere."""
    found = Statistics(setup.base.statistics, setup.base.fingerprint)
    yield Measurement("statistics, file", found.file.stat().st_size / 1e6, "MB")
    if not setup.new_statistics:
        return
    elsewhere = link_base(setup.base, setup.folder / "statistics", statistics=False)
    start = time.perf_counter()
    make_statistics(elsewhere, seed=setup.seed, device=setup.device, threads=setup.threads, progress=setup.progress)
    yield Measurement("statistics, made anew", time.perf_counter() - start, "s", note="into a temporary file")
