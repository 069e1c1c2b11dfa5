"""Answers kept on disk by content: the same question to the same model is never asked twice."""

import hashlib
import json
import threading
from pathlib import Path

import numpy as np

from video4spatial.schema import InputError
from video4spatial.storage.journal import Journal
from video4spatial.vlm.question import Question, RawAnswer


def content_key(identity: str, question: Question) -> str:
    """What the answer depends on, hashed: model and settings, prompt, schema, pixels. Not where images are from."""
    digest = hashlib.sha256()
    schema = json.dumps(question.answer.schema, sort_keys=True)
    for text in (identity, question.prompt, question.answer.name, schema):
        _add(digest, text.encode())
    for image in question.images:
        _add(digest, str(image.shape).encode())
        _add(digest, np.ascontiguousarray(image).tobytes())
    return digest.hexdigest()


def _add(digest, part: bytes) -> None:
    digest.update(len(part).to_bytes(8, "little") + part)  # with its length: no two lists of parts read the same


class AnswerCache:
    """The answers in ``path`` (see ``storage.journal``: append-only, shared by threads and processes, safe from kills).

    Only each answer's place is held in memory. Where two processes asked the same at the same time, the answer that was
    written first counts, for all.
    """

    def __init__(self, path: str | Path) -> None:
        self._journal = Journal(path)
        self._places: dict[bytes, int] = {}
        self._guard = threading.Lock()
        with self._guard:
            self._read_on()

    def __len__(self) -> int:
        return len(self._places)

    @property
    def damaged(self) -> int:
        """Lines that a killed writer left and that were passed over."""
        return self._journal.damaged

    def get(self, key: str) -> RawAnswer | None:
        """The answer, another process's newest included; None if there is none yet."""
        name = bytes.fromhex(key)
        with self._guard:
            if name not in self._places:
                self._read_on()
            place = self._places.get(name)
        if place is None:
            return None
        record = self._journal.read(place)
        return RawAnswer(record["text"], record["finish"])

    def put(self, key: str, answer: RawAnswer, model: str) -> None:
        """Keep an answer; when this returns, no kill can lose it."""
        self._journal.append({"key": key, "model": model, "text": answer.text, "finish": answer.finish})

    def _read_on(self) -> None:
        for place, record in self._journal.news():
            if record.keys() != {"key", "model", "text", "finish"}:
                raise InputError(f"{self._journal.path} holds something else than answers: choose another file")
            self._places.setdefault(bytes.fromhex(record["key"]), place)
