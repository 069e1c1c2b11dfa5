"""Who may open the app: anybody on this machine, or whoever knows the name and the password."""

import ipaddress

from video4spatial.schema import InputError

LEAST_PASSWORD = 8


def login_for(host: str, auth: str | None) -> tuple[str, str] | None:
    """The name and password that ``--auth USER:PASSWORD`` gives; None where no login is needed.

    Raises:
        InputError: listening to other machines without ``--auth``, or an ``--auth`` that cannot serve.
    """
    if auth is None:
        if not is_loopback(host):
            raise InputError(
                f"--host is {host}: other machines could then use the app; give --auth USER:PASSWORD as well"
            )
        return None
    user, sign, password = auth.partition(":")
    if not sign or not user.strip() or not password:
        raise InputError("--auth is not USER:PASSWORD: write it as, for example, anna:a-long-password")
    if len(password) < LEAST_PASSWORD:
        raise InputError(f"--auth: the password is short: give at least {LEAST_PASSWORD} characters")
    if (user, password) != (user.strip(), password.strip()):
        raise InputError("--auth: name and password must not begin or end with a space")
    return user, password


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
