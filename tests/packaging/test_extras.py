"""What needs an extra says which one to install: shown where no extra is installed."""

import json

from distributions import run

# Each command, or call of a reader that a command comes to, and the extra that its message must name.
LACKING = {
    "app": "app",
    "navigate walk.mp4 still -o still.mp4 --weights int8": "scale",
    "prepare rooms 0:1 store --ray": "ray",
}
CALLS = {
    "from video4spatial.model.lora import require_peft; require_peft()": "scale",
    "import video4spatial.vlm.server": "data",
    "from video4spatial.data.scannetpp.depth import _unpack_lz4; _unpack_lz4(b'')": "data",
    "from video4spatial.evaluate.optical_flow import DISFlow; DISFlow()": "eval",
    "from video4spatial.evaluate.colmap import ColmapReconstructor; ColmapReconstructor()(None, None)": "eval",
}
EACH = """
import contextlib, io, json, shlex, sys
from video4spatial.cli import main
from video4spatial.schema import InputError
told = {}
for command in json.loads(sys.argv[1]):
    error = io.StringIO()
    with contextlib.redirect_stderr(error):
        try:
            code = main(shlex.split(command))
        except SystemExit as exit:
            code = exit.code
    told[command] = [code, error.getvalue()]
for call in json.loads(sys.argv[2]):
    try:
        exec(call)
    except InputError as error:
        told[call] = [2, str(error)]
print(json.dumps(told))
"""


def test_what_lacks_an_extra_says_which(bare, elsewhere):
    done = run(bare, elsewhere, "python", "-c", EACH, json.dumps(list(LACKING)), json.dumps(list(CALLS)))
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    for asked, extra in (LACKING | CALLS).items():
        code, said = told[asked]
        assert code == 2, f"{asked}: {said}"
        assert f"pip install 'video4spatial[{extra}]'" in said, f"{asked}: {said}"
        assert "Traceback" not in said
