"""A VLM behind an OpenAI-compatible server (vLLM and others), asked through the ``openai`` client.

The client retries by itself: on broken connections, time-outs, 408, 409, 429 and 5xx, after waits that double from 0.5
to 8 s with jitter, or as long as the server's Retry-After says (up to two minutes).
"""

import base64
import io
import threading
import time
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from video4spatial.schema import InputError
from video4spatial.vlm.question import Finish, Question, RawAnswer, VLMUnavailable

try:
    import openai
except ImportError:
    raise InputError("asking a VLM server needs the openai client: pip install 'video4spatial[data]'") from None

_FINISHES: dict[str | None, Finish] = {"stop": "stop", "length": "length", "content_filter": "refused"}
_NOT_TAKEN = (400, 413, 422)  # this question, not the server, is the trouble


class ServerVLM:
    """Model ``model`` of the server at ``base_url`` (``http://host:8000/v1``).

    Images go as PNG in data URLs, the schema as ``response_format`` (the server then only writes JSON that follows it).

    Args:
        concurrency: questions open at the same time.
        requests_per_minute: an upper limit, retries included; None: none.
        timeout: seconds until an answer counts as lost and is asked for again.
        retries: how often one question is sent again before ``VLMUnavailable``.
        max_tokens: length limit of an answer; longer ones are ``truncated``.
        rejections: how many questions in a row the server may reject before ``VLMUnavailable``: then it takes none.
    """

    def __init__(
        self,
        model: str,
        base_url: str,
        api_key: str = "EMPTY",
        *,
        concurrency: int = 16,
        requests_per_minute: float | None = None,
        timeout: float = 120.0,
        retries: int = 8,
        max_tokens: int = 2048,
        temperature: float = 0.0,
        rejections: int = 8,
    ) -> None:
        if not base_url.startswith(("http://", "https://")):
            raise InputError(f"the server's address is {base_url!r}: give one such as http://localhost:8000/v1")
        if concurrency < 1 or max_tokens < 1 or retries < 0 or rejections < 1 or timeout <= 0:
            raise InputError("concurrency, max_tokens, rejections and timeout must be positive, retries at least 0")
        self.model, self.base_url = model, base_url
        self._concurrency, self._rejections = concurrency, rejections
        self.max_tokens, self.temperature = max_tokens, temperature
        self.requests = 0
        """Requests sent so far, retries included."""
        self._limit = _RateLimit(requests_per_minute)
        self._guard = threading.Lock()
        self._rejected = 0
        self._client = openai.OpenAI(
            base_url=base_url,
            api_key=api_key,
            timeout=timeout,
            max_retries=retries,
            http_client=openai.DefaultHttpxClient(event_hooks={"request": [self._before_request]}),
        )

    @property
    def identity(self) -> str:
        """The model and the settings that change its answers; not the address."""
        return f"{self.model} max_tokens={self.max_tokens} temperature={self.temperature}"

    @property
    def concurrency(self) -> int:
        """How many questions may be open at the same time."""
        return self._concurrency

    def ask(self, question: Question) -> RawAnswer:
        """Raises:
        VLMUnavailable: no connection, no answer in time, or 429 and 5xx until the last retry; or it takes no question.
        InputError: the server does not know the model or the key, which asking again does not mend.
        """
        content = _content(question)
        try:
            completion = self._client.chat.completions.create(
                model=self.model,
                messages=[{"role": "user", "content": content}],  # type: ignore[arg-type]
                response_format={
                    "type": "json_schema",
                    "json_schema": {
                        "name": question.answer.name,
                        "schema": question.answer.schema,
                        "strict": True,
                    },
                },
                max_tokens=self.max_tokens,
                temperature=self.temperature,
            )
        except openai.APITimeoutError:
            raise VLMUnavailable(
                f"{self.base_url} gave no answer in time, retries included: see how busy it is, raise the time-out or "
                "lower the concurrency, then run again"
            ) from None
        except openai.APIConnectionError as error:
            reason = error.__cause__ or error
            raise VLMUnavailable(
                f"{self.base_url} cannot be reached, retries included ({reason}): start it or check the address, then "
                "run again"
            ) from None
        except openai.APIStatusError as error:
            return self._refused_status(error)
        except (openai.OpenAIError, ValueError) as error:  # a body that is no completion
            return self._reject(f"not a chat completion: {type(error).__name__}: {error}")
        answer = _read(completion)
        if answer is None:
            return self._reject(f"not a chat completion: {str(completion)[:200]}")
        with self._guard:
            self._rejected = 0
        return answer

    def _before_request(self, _: object) -> None:
        self._limit.wait()
        with self._guard:
            self.requests += 1

    def _refused_status(self, error: openai.APIStatusError) -> RawAnswer:
        said = str(error.message)[:300]
        if error.status_code in _NOT_TAKEN:
            return self._reject(said)
        if error.status_code == 429 or error.status_code >= 500:
            raise VLMUnavailable(
                f"{self.base_url} still answers {error.status_code} after all retries ({said}): lower the concurrency "
                "or the rate, see to the server, then run again"
            ) from None
        raise InputError(
            f"{self.base_url} answers {error.status_code} for model {self.model!r} ({said}): check the address, the "
            "model's name and the key"
        ) from None

    def _reject(self, reason: str) -> RawAnswer:
        with self._guard:
            self._rejected += 1
            rejected = self._rejected
        if rejected >= self._rejections:
            raise VLMUnavailable(
                f"{self.base_url} rejected {rejected} questions in a row, the last because: {reason}. "
                f"Does {self.model} take images, and the server JSON schemas?"
            )
        return RawAnswer(reason, "rejected")


def _content(question: Question) -> list[dict[str, Any]]:
    images = [{"type": "image_url", "image_url": {"url": data_url(image)}} for image in question.images]
    return [*images, {"type": "text", "text": question.prompt}]


def data_url(image: UInt8[np.ndarray, "H W 3"]) -> str:
    """The image as PNG in a data URL: what the server sees is what the cache's key was made from."""
    encoded = io.BytesIO()
    Image.fromarray(image).save(encoded, "PNG", compress_level=1)
    return "data:image/png;base64," + base64.b64encode(encoded.getvalue()).decode("ascii")


def _read(completion: Any) -> RawAnswer | None:
    """None where what came is no chat completion: the client does not look."""
    choices = getattr(completion, "choices", None)
    if not isinstance(choices, list) or not choices:
        return None
    message, reason = getattr(choices[0], "message", None), getattr(choices[0], "finish_reason", None)
    text, refusal = getattr(message, "content", None), getattr(message, "refusal", None)
    if refusal:
        return RawAnswer(str(refusal), "refused")
    if message is None or reason not in _FINISHES or not isinstance(text, str | None):
        return None
    return RawAnswer(text or "", _FINISHES[reason])


class _RateLimit:
    """Lets at most ``per_minute`` pass a minute, evenly spaced; None lets all pass."""

    def __init__(self, per_minute: float | None) -> None:
        if per_minute is not None and per_minute <= 0:
            raise InputError(f"{per_minute} requests a minute: give a number above 0")
        self._every = 60 / per_minute if per_minute else 0.0
        self._next = 0.0
        self._guard = threading.Lock()

    def wait(self) -> None:
        with self._guard:
            now = time.monotonic()
            turn = max(now, self._next)
            self._next = turn + self._every
        time.sleep(turn - now)
