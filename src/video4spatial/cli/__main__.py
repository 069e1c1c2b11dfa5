"""`python -m video4spatial.cli`: what torchrun starts."""

import os
import sys

from video4spatial.cli import main

if __name__ == "__main__":
    status = main()
    if "TORCHELASTIC_RUN_ID" in os.environ:
        from video4spatial.train.parallel import end_process

        end_process(status)
    sys.exit(status)
