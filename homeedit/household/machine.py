"""``doctor``: is everything in order, in plain words."""

import importlib
import os
import platform
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing

from homeedit.base.store import BaseModel, check_base
from homeedit.errors import HomeEditError
from homeedit.household.results import Check, named_build
from homeedit.household.workspace import Workspace, chosen_device

LEAST_MEMORY = 2 * 10**9
LEAST_DISK = 2 * 10**9
PACKAGES = ("numpy", "safetensors", "gguf", "torch", "transformers", "llama_cpp")


def check_all(workspace: Workspace, *, full: bool) -> Iterator[Check]:
    """Every check, one after the other. ``full`` reads all model files and compares their hashes."""
    yield _processor(workspace)
    yield _memory()
    yield _disk(workspace)
    for package in PACKAGES:
        yield _package(package)
    yield _guarded("device", lambda: _device(workspace))
    yield _home(workspace)
    if not workspace.home.exists:
        return
    yield _guarded("ledger", lambda: _ledger(workspace))
    base: list[BaseModel] = []
    yield _guarded("model", lambda: _model(workspace, base, full))
    if base:
        yield _guarded("statistics", lambda: _statistics(base[0]))
        yield _guarded("active build", lambda: _active(workspace, base[0]))
        yield _guarded("builds", lambda: _builds(base[0]))
    yield _guarded("patches", lambda: _patches(workspace))
    yield _server(workspace)


def _guarded(name: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except HomeEditError as error:
        return Check(name, False, f"{error.message} {error.hint}".strip())
    except (OSError, sqlite3.Error) as error:
        return Check(name, False, f"Cannot be read: {error}.")


def _processor(workspace: Workspace) -> Check:
    threads = workspace.settings.usable_threads()
    version = ".".join(map(str, sys.version_info[:3]))
    detail = f"{platform.system()} {platform.machine()}, {threads} cores used, Python {version}"
    return Check("machine", sys.version_info >= (3, 11), detail)


def _memory() -> Check:
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return Check("memory", True, "Its size cannot be read on this system.")
    enough = size >= LEAST_MEMORY
    detail = f"{size / 1e9:.1f} GB" + ("" if enough else f"; {LEAST_MEMORY / 1e9:.0f} GB are needed to compile")
    return Check("memory", enough, detail)


def _disk(workspace: Workspace) -> Check:
    folder = workspace.home.root
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    enough = free >= LEAST_DISK
    detail = f"{free / 1e9:.1f} GB free" + ("" if enough else f"; {LEAST_DISK / 1e9:.0f} GB are advisable")
    return Check("disk", enough, detail)


def _package(name: str) -> Check:
    try:
        module = importlib.import_module(name)
    except Exception as error:  # a broken installation fails in any way it likes
        return Check(name, False, f"Cannot be imported: {error}. Install homeedit again.")
    return Check(name, True, str(getattr(module, "__version__", "there")))


def _device(workspace: Workspace) -> Check:
    try:
        return Check("device", True, f"{chosen_device(workspace.settings.device)} is used to compile")
    except ImportError:
        return Check("device", False, "Not known without torch.")


def _home(workspace: Workspace) -> Check:
    root = workspace.home.root
    if not workspace.home.exists:
        return Check("home", False, f"{root} is not a home. Make it with `homeedit init`.")
    if not os.access(root, os.W_OK):
        return Check("home", False, f"{root} cannot be written. Check its permissions.")
    return Check("home", True, str(root))


def _ledger(workspace: Workspace) -> Check:
    with workspace.ledger() as ledger:
        count = len(ledger.facts())
    with closing(sqlite3.connect(f"{workspace.home.ledger.as_uri()}?mode=ro", uri=True)) as connection:
        problems = [row[0] for row in connection.execute("PRAGMA integrity_check(5)") if row[0] != "ok"]
    if problems:
        return Check("ledger", False, "; ".join(problems))
    return Check("ledger", True, f"{count} facts, whole")


def _model(workspace: Workspace, found: list[BaseModel], full: bool) -> Check:
    base = workspace.base()
    found.append(base)
    problems = check_base(base) if full else []
    if problems:
        return Check("model", False, "; ".join(problems))
    looked = "every file's hash compared" if full else "sizes compared; --full compares hashes"
    return Check("model", True, f"{base.name}, {base.parameters / 1e6:.0f} million parameters ({looked})")


def _statistics(base: BaseModel) -> Check:
    from homeedit.editing.statistics import have_statistics

    if have_statistics(base):
        return Check("statistics", True, "there")
    return Check("statistics", False, "Missing or damaged. `homeedit init` makes them again.")


def _active(workspace: Workspace, base: BaseModel) -> Check:
    from homeedit.builds.history import active_build
    from homeedit.runtime.llama import Runtime

    build = active_build(base)
    gguf = base.gguf if build is None else build.gguf
    with Runtime(gguf, threads=workspace.settings.usable_threads(), context=256):
        pass
    what = "none: the base model is served" if build is None else f"build {build.number}"
    return Check("active build", True, f"{what}; llama.cpp loads it")


def _builds(base: BaseModel) -> Check:
    from homeedit.builds.history import list_builds

    builds = list_builds(base)
    damaged = [f"build {build.number}: {build.problem}" for build in builds if build.problem]
    if damaged:
        return Check("builds", False, "; ".join(damaged))
    return Check("builds", True, f"{len(builds)}, {sum(build.bytes for build in builds) / 1e6:.0f} MB")


def _patches(workspace: Workspace) -> Check:
    from homeedit.patches.store import damaged_patches, list_patches

    damaged = damaged_patches(workspace.home.edits)
    if damaged:
        listed = "; ".join(f"{path.name}: {why}" for path, why in damaged)
        return Check("patches", False, f"{listed}. `homeedit compile` compiles their facts again.")
    patches = list_patches(workspace.home.edits)
    return Check("patches", True, f"{len(patches)}, {sum(patch.bytes for patch in patches) / 1e6:.1f} MB")


def _server(workspace: Workspace) -> Check:
    from homeedit.household.serving.state import asked_health, read_serving

    server = read_serving(workspace.home)
    if server is None:
        return Check("server", True, "none runs on this home")
    where = f"at {server.address} (process {server.pid})"
    health = asked_health(server)
    if health is None:
        return Check("server", False, f"It does not answer {where}. Stop that process and start it again.")
    what = named_build(health.build)
    if health.problem:
        return Check("server", False, f"It serves {what} {where}. {health.problem}")
    return Check("server", True, f"{what} is served {where}")
