"""What the fork server of worker processes imports, once for all of them; nothing else imports it."""

from video4spatial.model.quiet import quiet_libraries

quiet_libraries()

from video4spatial.prepare.unit import Preparer  # noqa: E402 (after its libraries are quiet)

__all__ = ["Preparer"]
