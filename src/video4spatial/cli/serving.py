"""app: the web app."""

import argparse
from pathlib import Path

from video4spatial.cli.command import AddCommand, load_pipeline, quiet_libraries


def add_commands(command: AddCommand) -> None:
    """app."""
    app = command("app", run_app, "Serve a page for both tasks, and the same for scripts; on this machine only.")
    app.add_argument("--model", default="rooms-small", help="a shipped model or a pipeline folder; default %(default)s")
    app.add_argument("--port", type=int, default=7860, help="default %(default)s; 0: any that is free")
    app.add_argument("--host", default="127.0.0.1", help="default %(default)s; any other needs --auth")
    app.add_argument("--auth", metavar="USER:PASSWORD", help="ask for this login; @FILE reads it from a file")
    app.add_argument("--max-upload", type=float, default=200.0, metavar="MB", help="of a file; default %(default)g")
    app.add_argument("--max-seconds", type=float, default=120.0, metavar="S", help="of a video; default %(default)g")
    app.add_argument("--temporary", metavar="DIR", help="where the private folder is made (default: the system's)")
    app.add_argument("--lora", action="append", default=[], metavar="PATH[=SCALE]", help="add a LoRA; repeatable")
    app.add_argument("--offload", default="none", metavar="WHAT", help="none, model or group, as of ground")
    app.add_argument("--weights", metavar="BITS", help="as-is (default), int8, fp8 or fp8-matmul, as of ground")
    app.add_argument("--dtype", default="auto", help="float32, bfloat16 or float16, as of ground")
    app.set_defaults(compile=False, attention="auto")


def run_app(options: argparse.Namespace) -> None:
    from video4spatial.app.guard import Limits
    from video4spatial.app.server import Serving, require_gradio, serve

    limits = Limits(options.max_upload, options.max_seconds)
    temporary = None if options.temporary is None else Path(options.temporary)
    serving = Serving(options.host, options.port, options.auth, limits, temporary)
    require_gradio()
    quiet_libraries()
    serve(load_pipeline(options.model, options), serving, options.model)
