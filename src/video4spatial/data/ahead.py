"""Reading ahead: threads make what the next steps need while this one computes, in exactly the order asked for."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class ReadAhead(Generic[Key, Value]):
    """``make(key)`` for one key after another, with the next ``ahead`` of them made by ``readers`` threads meanwhile.

    ``following(key)`` gives the keys that come after ``key``. ``make`` must depend on nothing but its key; then what is
    returned does not depend on how many threads there are, and a key out of turn is merely made late. An error in
    ``make`` is raised where its key is asked for.
    """

    def __init__(
        self,
        make: Callable[[Key], Value],
        following: Callable[[Key], Iterator[Key]],
        readers: int = 2,
        ahead: int = 4,
    ) -> None:
        self._make, self._following, self.ahead = make, following, ahead
        self._threads = ThreadPoolExecutor(readers, thread_name_prefix="read-ahead")
        self._coming: OrderedDict[Key, Future[Value]] = OrderedDict()

    def __call__(self, key: Key) -> Value:
        """``make(key)``, from the threads where they have it or are at it."""
        upcoming = list(islice(self._following(key), self.ahead))
        for other in [other for other in self._coming if other != key and other not in upcoming]:
            self._coming.pop(other).cancel()
        for wanted in (key, *upcoming):
            if wanted not in self._coming:
                self._coming[wanted] = self._threads.submit(self._make, wanted)
        return self._coming.pop(key).result()

    def close(self) -> None:
        """End the threads; what they are at is finished, what waits is dropped."""
        self._coming.clear()
        self._threads.shutdown(wait=True, cancel_futures=True)
