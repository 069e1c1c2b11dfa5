"""Asking many questions: from the cache where it can be, else several at once, and in order."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock

from video4spatial.vlm.cache import AnswerCache, content_key
from video4spatial.vlm.question import VLM, Question, RawAnswer


class Asker:
    """A VLM with its cache.

    Attributes:
        asked: questions the VLM answered or rejected.
        remembered: questions answered by the cache, or by the same question a moment ago.
    """

    def __init__(self, vlm: VLM, cache: AnswerCache) -> None:
        self.vlm, self.cache = vlm, cache
        self.asked = self.remembered = 0
        self._guard = Lock()

    def answers(self, questions: Iterable[Question]) -> Iterator[tuple[Question, RawAnswer]]:
        """Each question with its answer, in the order of the questions, which are only taken as there is room for them.

        An answer is on the disk before it is given out, and one that arrives after an error or after the caller stopped
        is kept too. Answers of a server that rejects the question are not kept: mended settings shall ask again.

        Raises:
            VLMUnavailable: no answer can be had. Running again asks only what is missing.
        """
        waiting: deque[tuple[Question, Future[RawAnswer]]] = deque()
        open_now: dict[str, Future[RawAnswer]] = {}
        with ThreadPoolExecutor(self.vlm.concurrency) as pool:
            try:
                for question in questions:
                    waiting.append((question, self._start(pool, question, open_now)))
                    if len(waiting) > 2 * self.vlm.concurrency:
                        yield _first(waiting)
                while waiting:
                    yield _first(waiting)
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _start(
        self, pool: ThreadPoolExecutor, question: Question, open_now: dict[str, Future[RawAnswer]]
    ) -> Future[RawAnswer]:
        key = content_key(self.vlm.identity, question)
        for done in [key for key, future in open_now.items() if future.done()]:
            del open_now[done]
        if key in open_now:
            self.remembered += 1
            return open_now[key]
        known = self.cache.get(key)
        if known is not None:
            self.remembered += 1
            ready: Future[RawAnswer] = Future()
            ready.set_result(known)
            return ready
        open_now[key] = pool.submit(self._ask, key, question)
        return open_now[key]

    def _ask(self, key: str, question: Question) -> RawAnswer:
        answer = self.vlm.ask(question)
        if answer.finish != "rejected":
            self.cache.put(key, answer, self.vlm.identity)
        with self._guard:
            self.asked += 1
        return answer


def _first(waiting: deque[tuple[Question, Future[RawAnswer]]]) -> tuple[Question, RawAnswer]:
    question, future = waiting.popleft()
    return question, future.result()
