"""A process that asks the stub numbered questions, to be killed: URL CACHE COUNT CONCURRENCY."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from vlm.stub_server import HEIGHT, WIDTH, numbered

from video4spatial.curate.answers import parse_objects
from video4spatial.vlm.asking import Asker
from video4spatial.vlm.cache import AnswerCache
from video4spatial.vlm.server import ServerVLM

if __name__ == "__main__":
    url, cache, count, concurrency = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    asker = Asker(ServerVLM("stub", url, concurrency=concurrency, retries=0), AnswerCache(cache))
    for _, raw in asker.answers(numbered(i) for i in range(count)):
        print(parse_objects(raw, WIDTH, HEIGHT).objects[0].label.replace(" ", ""))
