"""Who may open the app: anybody on this machine, or whoever knows the name and the password."""

import ipaddress
from pathlib import Path

from video4spatial.schema import InputError

LEAST_PASSWORD = 8


def login_for(host: str, auth: str | None) -> tuple[str, str] | None:
    """The name and password that ``--auth`` gives, USER:PASSWORD or @FILE; None where no login is needed.

    Raises:
        InputError: listening to other machines without ``--auth``, or an ``--auth`` that cannot serve.
    """
    if auth is None:
        if not is_loopback(host):
            raise InputError(
                f"--host is {host}: other machines could then use the app; give --auth USER:PASSWORD or @FILE as well"
            )
        return None
    if auth.startswith("@"):
        auth = _written_in(Path(auth[1:]))
    user, sign, password = auth.partition(":")
    if not sign or not user.strip() or not password:
        raise InputError("--auth is not USER:PASSWORD: write it, or a file's only line, as anna:a-long-password")
    if len(password) < LEAST_PASSWORD:
        raise InputError(f"--auth: the password is short: give at least {LEAST_PASSWORD} characters")
    if (user, password) != (user.strip(), password.strip()):
        raise InputError("--auth: name and password must not begin or end with a space")
    return user, password


def _written_in(file: Path) -> str:
    """The only line of ``file``: what stands on the command line is seen by everybody on the machine."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise InputError(f"--auth: {file} cannot be read ({error}): give @FILE, a text of USER:PASSWORD") from None
    if len(lines) != 1:
        raise InputError(f"--auth: {file} has {len(lines)} lines: write USER:PASSWORD into it, in one line")
    return lines[0]


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
