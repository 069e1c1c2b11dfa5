"""Only this machine without a login; others with one."""

import pytest

from video4spatial.app.login import is_loopback, login_for
from video4spatial.schema import InputError


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]", "127.0.0.2"])
def test_this_machine_needs_no_login(host):
    assert is_loopback(host)
    assert login_for(host, None) is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.org", "", "127.0.0.1.example.org"])
def test_elsewhere_a_login_is_needed(host):
    with pytest.raises(InputError, match="--auth USER:PASSWORD"):
        login_for(host, None)
    assert login_for(host, "anna:long-enough") == ("anna", "long-enough")


def test_a_colon_may_be_in_the_password():
    assert login_for("0.0.0.0", "anna:a:b:c:d:e") == ("anna", "a:b:c:d:e")


@pytest.mark.parametrize("auth", ["", "anna", "anna:", ":long-enough", " :long-enough", "anna:short", " a:long-one "])
def test_a_login_that_cannot_serve(auth):
    with pytest.raises(InputError, match="--auth"):
        login_for("127.0.0.1", auth)


def test_a_login_from_a_file_stays_off_the_command_line(tmp_path):
    file = tmp_path / "login.txt"
    file.write_text("anna:long-enough\n")
    assert login_for("0.0.0.0", f"@{file}") == ("anna", "long-enough")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        (b"", "has 0 lines"),
        (b"anna:long-enough\nberta:long-enough\n", "has 2 lines"),
        (b"anna\n", "--auth is not USER:PASSWORD"),
        (b"anna:short\n", "the password is short"),
    ],
)
def test_a_file_that_holds_no_login(tmp_path, content, told):
    file = tmp_path / "login.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InputError, match=told) as refused:
        login_for("0.0.0.0", f"@{file}")
    assert "long-enough" not in str(refused.value)
