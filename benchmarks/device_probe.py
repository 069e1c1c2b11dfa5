"""What both GPU benchmarks share: random weights on the device, the matrix rate, memory, time budget, kernels."""

import argparse
import gc
import json
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from machine import describe_machine

from video4spatial.model.cost.transformer import TransformerShape
from video4spatial.model.transformer import Video4SpatialTransformer3DModel
from video4spatial.sample.devices import named
from video4spatial.sample.plan import tensor_bytes
from video4spatial.schema import InputError

TINY = {"num_layers": 4, "num_attention_heads": 4, "attention_head_dim": 32, "ffn_dim": 384, "text_dim": 64}
TINY |= {"freq_dim": 64}
DTYPES = ("bfloat16", "float32")


class Budget:
    """Minutes that a benchmark may take; it asks before each case and writes what it has when time is up."""

    def __init__(self, minutes: float) -> None:
        self.began, self.seconds = time.perf_counter(), 60 * minutes

    @property
    def left(self) -> float:
        return self.seconds - (time.perf_counter() - self.began)


class Run:
    """One run of a benchmark: its options, device, precision and time budget, and its report.

    The report is written anew after every case, so that what was measured outlives whatever ends the run.
    """

    def __init__(self, name: str, parser: argparse.ArgumentParser, arguments: list[str] | None, repeats: int) -> None:
        parser.add_argument("--minutes", type=float, default=9.0, help="time budget; default %(default)s")
        parser.add_argument("--tiny", action="store_true", help="small models and frames, for the CPU")
        parser.add_argument("--repeats", type=int, default=repeats, help="steps timed a case; default %(default)s")
        parser.add_argument("--dtype", choices=DTYPES, help="default: bfloat16; with --tiny float32")
        parser.add_argument("--out", help=f"JSON file; default benchmarks/results/{name}_DEVICE.json")
        self.options = options = parser.parse_args(arguments)
        self.tiny = options.tiny
        self.device = torch.device("cuda" if torch.cuda.is_available() and not self.tiny else "cpu")
        if self.device.type == "cpu" and not self.tiny:
            parser.error("no CUDA device is here: use --tiny")
        self.dtype: torch.dtype = getattr(torch, options.dtype or ("float32" if self.tiny else "bfloat16"))
        self.budget = Budget(options.minutes)
        self.report: dict[str, Any] = {"machine": describe(self.device), "tiny": self.tiny, "cases": []}
        self.report |= {"unmeasured": [], "matmul_tflops": matmul_rates(self.device, 768 if self.tiny else 8192)}
        device = "".join(c if c.isalnum() else "_" for c in self.report["machine"]["device"]).strip("_").lower()
        results = Path(__file__).parent / "results" / f"{name}_{device}{'_tiny' if self.tiny else ''}.json"
        self.path = Path(options.out) if options.out else results

    @property
    def matmul_tflops(self) -> float:
        """The rate of matrix products that shares are of."""
        rates = self.report["matmul_tflops"]
        return rates.get("bf16", rates.get("fp32"))

    @property
    def time_is_up(self) -> bool:
        """Whether another case should not be begun."""
        return self.budget.left < (0 if self.tiny else 30)

    @contextmanager
    def part(self, result: dict[str, Any]) -> Iterator[None]:
        """A part of the benchmark, which fills ``result``: failing is a result, not the end of the benchmark."""
        release(self.device)
        try:
            yield
        except torch.OutOfMemoryError as error:
            result["failed"] = "out of memory: " + str(error).split("\n")[0][:200]
        except Exception as error:  # compilers, libraries and drivers fail in any way
            if not isinstance(error, InputError):
                traceback.print_exc()
            result["failed"] = f"{type(error).__name__}: {str(error).split(chr(10))[0][:300]}"
        if result:
            print(json.dumps(result), flush=True)
        self.save()

    def save(self) -> None:
        self.report["seconds_taken"] = time.perf_counter() - self.budget.began
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(self.report, indent=2) + "\n")


def release(device: torch.device) -> None:
    """Give back what earlier parts held: compiled models refer to themselves, and are freed by the collector only."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def timed(run: Callable[[], Any], device: torch.device, repeats: int, budget: Budget, warm: int = 1) -> list[float]:
    """Seconds of each of up to ``repeats`` runs after ``warm`` others; fewer when the budget ends."""
    for _ in range(warm):
        run()
    seconds: list[float] = []
    while len(seconds) < repeats and (not seconds or budget.left > seconds[-1]):
        synchronise(device)
        began = time.perf_counter()
        run()
        synchronise(device)
        seconds.append(time.perf_counter() - began)
    return seconds


def random_transformer(
    device: torch.device, dtype: torch.dtype, config: dict[str, Any], kind: Any = Video4SpatialTransformer3DModel
) -> Any:
    """A transformer of random weights made on the device in the precision that loading would give it."""
    with torch.device("meta"):
        model = kind(**config)
    kept = set(model._keep_in_fp32_modules)
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if tensor.is_floating_point():
            tensor.data = tensor.data.to(torch.float32 if kept & set(name.split(".")) else dtype)
    model = model.to_empty(device=device)
    fill(model)
    c = model.config
    with torch.device(device):
        model.rope = type(model.rope)(c.attention_head_dim, tuple(c.patch_size), c.rope_max_seq_len)
    return model.eval().requires_grad_(False)


@torch.no_grad()
def fill(model: torch.nn.Module) -> None:
    """Random weights that keep activations finite: matrices small, scales of norms one."""
    for parameter in model.parameters():
        parameter.normal_(std=0.02) if parameter.ndim > 1 else parameter.fill_(1.0 if parameter.numel() > 1 else 0.0)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            parameter.zero_()


def shape_of(model: Any) -> TransformerShape:
    return TransformerShape.from_config(model.config)


def matmul_rates(device: torch.device, size: int) -> dict[str, float]:
    """TFLOP/s of one large matrix product, the best of several: the ceiling that shares are of."""
    rates: dict[str, float] = {}
    a = torch.randn(size, size, device=device).to(torch.bfloat16 if device.type == "cuda" else torch.float32)

    def best(run: Callable[[], Any]) -> float:
        return 2 * size**3 / min(timed(run, device, 10, Budget(1), warm=3)) / 1e12

    rates["bf16" if device.type == "cuda" else "fp32"] = best(lambda: a @ a)
    if device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 9):
        b = a.clamp(-1, 1).to(torch.float8_e4m3fn)
        one = torch.ones((), device=device)
        try:
            rates["fp8"] = best(lambda: torch._scaled_mm(b, b.t(), one, one, out_dtype=torch.bfloat16))
        except RuntimeError as error:
            print(f"no fp8 product here: {error}", file=sys.stderr)
    return rates


class Memory:
    """Peak bytes of what is ``there`` (the weights at work) and of all tensors made within ``with``.

    On CUDA by the allocator's own count, from which what else lay on the device is taken off (models that are not at
    work); ``reserved`` is all that the allocator held. On the CPU by live bytes.
    """

    def __init__(self, device: torch.device, there: int = 0) -> None:
        self.device, self.there = device, there
        self.allocated = self.reserved = 0

    def __enter__(self) -> "Memory":
        release(self.device)
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
            torch.cuda.reset_peak_memory_stats(self.device)
            self.before = torch.cuda.memory_allocated(self.device)
        else:
            self.live = _live_bytes().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        if self.device.type == "cuda":
            self.allocated = torch.cuda.max_memory_allocated(self.device) - self.before + self.there
            self.reserved = torch.cuda.max_memory_reserved(self.device)
        else:
            self.live.__exit__(*error)
            self.allocated = self.reserved = self.live.peak + self.there


def _live_bytes() -> Any:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
    from live_bytes import LiveBytes

    return LiveBytes()


def weights_of(*models: Any) -> int:
    return sum(tensor_bytes(p) for model in models for p in model.parameters())


def top_kernels(run: Callable[[], Any], device: torch.device, count: int = 15) -> list[dict[str, Any]]:
    """The kernels (on the CPU: operations) that took most time in one run, with their share."""
    from torch.profiler import ProfilerActivity, profile

    cuda = device.type == "cuda"
    activities = [ProfilerActivity.CUDA, ProfilerActivity.CPU] if cuda else [ProfilerActivity.CPU]
    with profile(activities=activities) as profiled:
        run()
        synchronise(device)
    attribute = "self_device_time_total" if cuda else "self_cpu_time_total"
    events = [e for e in profiled.key_averages() if getattr(e, attribute) > 0]
    if cuda:
        events = [e for e in events if "CUDA" in str(e.device_type)]
    total = sum(getattr(e, attribute) for e in events)
    events.sort(key=lambda e: getattr(e, attribute), reverse=True)
    return [
        {
            "name": e.key[:120],
            "ms": round(getattr(e, attribute) / 1e3, 3),
            "share": round(getattr(e, attribute) / total, 4),
            "calls": e.count,
        }
        for e in events[:count]
    ]


def describe(device: torch.device) -> dict[str, Any]:
    """The machine, the device, and the command."""
    machine = describe_machine() | {"command": "python " + " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])}
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        machine |= {"device": properties.name, "device_memory": properties.total_memory, "cuda": torch.version.cuda}
    else:
        machine |= {"device": machine["cpu"], "threads": torch.get_num_threads()}
    return machine


def record_share(table: Path, device: str, tflops: float) -> str:
    """Put what was reached into the planner's table of devices; the row's name, or an error where it has none."""
    known = named(device)
    if known is None:
        raise SystemExit(f"--record: {device!r} is not in {table.name}: add its row first")
    rows = json.loads(table.read_text())
    row = next(row for row in rows if row["name"] == known.name)
    row["measured_share"] = round(tflops / row["bf16_tflops"], 3)
    table.write_text("[\n" + ",\n".join("  " + json.dumps(row) for row in rows) + "\n]\n")
    return row["name"]
