"""A PostgreSQL server of the tests' own: started in a throw-away folder, reached through a socket there, ended afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)  # where Debian puts the programs


def program(name: str) -> str | None:
    """A program of the server, newest version first; None where there is none."""
    found = shutil.which(name) or shutil.which(name, path=os.pathsep.join(map(str, FOLDERS)))
    return str(Path(found).resolve()) if found else None


def unprivileged() -> str | None:
    """The user that the server runs as: whoever runs the tests, but never root, which PostgreSQL refuses; None where there is no other."""
    if os.geteuid():
        return pwd.getpwuid(os.geteuid()).pw_name
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in names), None)


def missing() -> str | None:
    """Why no server can be started here; None if one can."""
    if find_spec("psycopg") is None:
        return "the driver is not installed: pip install psycopg[binary]"
    if program("initdb") is None or program("pg_ctl") is None:
        return "no PostgreSQL on this machine: apt-get install postgresql"
    return None if unprivileged() else "PostgreSQL refuses to run as root, and there is no other user"


@contextmanager
def postgresql() -> Iterator[str]:
    """The URL of a fresh server's database `postgres`."""
    user = unprivileged()
    folder = Path(tempfile.mkdtemp(prefix="sigmascope-pg-"))  # short: a socket's path has at most 107 letters
    shutil.chown(folder, user)
    data = folder / "data"

    def run(*command: str) -> None:
        done = subprocess.run(command, user=user, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise RuntimeError(f"{command[0]}: {done.stderr[-500:]}")

    control = str(program("pg_ctl"))
    try:
        run(str(program("initdb")), "-D", str(data), "-U", "keeper", "-A", "trust", "-E", "UTF8", "--no-sync")
        options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
        run(control, "-D", str(data), "-w", "-t", "30", "-l", str(folder / "log"), "-o", options, "start")
        try:
            yield f"postgresql+psycopg://keeper@/postgres?host={folder}"
        finally:
            run(control, "-D", str(data), "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
