"""GPUs that the planner knows: public datasheet figures, and what the benchmarks measured on some of them.

``devices.json`` holds the table. Operations a second are dense (no sparsity), bfloat16 and fp8 with float32 sums. A row
whose "measured_share" is set has been measured by ``benchmarks/full_size.py``; all others are planned for at an assumed
``ASSUMED_SHARE`` of the datasheet's figure.
"""

import re
import time
from dataclasses import dataclass, replace
from pathlib import Path

from video4spatial.schema import InputError
from video4spatial.storage.artifacts import read_json

TABLE = Path(__file__).with_name("devices.json")
ASSUMED_SHARE = 0.5  # of the datasheet's operations a second, where nothing was measured
PCIE_SHARE = 0.75  # of the bus's rate, for pinned copies
RESERVE = 1.0e9  # bytes assumed for the CUDA context, workspaces of its libraries, and gaps between allocations


@dataclass(frozen=True)
class Device:
    """What a plan needs to know of a device; rates are None where only the memory is known.

    ``memory`` in bytes, ``tflops``, ``fp8_tflops`` in 10^12 operations a second, ``pcie`` in bytes a second.
    ``measured_share``: of ``tflops`` reached by the transformer's forward pass. ``reserve``: bytes not for tensors.
    """

    name: str
    memory: float
    tflops: float | None = None
    fp8_tflops: float | None = None
    pcie: float | None = None
    measured_share: float | None = None
    is_gpu: bool = True
    reserve: float = RESERVE

    @property
    def share(self) -> float:
        """The share of its rate that is reckoned with: measured, or else assumed."""
        return ASSUMED_SHARE if self.measured_share is None else self.measured_share

    @property
    def rate(self) -> float | None:
        """Operations a second that the plan counts on."""
        return None if self.tflops is None else self.tflops * 1e12 * self.share

    @property
    def fp8_rate(self) -> float | None:
        """The same where products are in fp8; None where the device has none."""
        return None if self.fp8_tflops is None else self.fp8_tflops * 1e12 * self.share

    @property
    def usable(self) -> float:
        """Bytes that tensors may take."""
        return self.memory - self.reserve

    @property
    def basis(self) -> str:
        """What its seconds rest on."""
        if self.tflops is None:
            return "seconds unknown: name a GPU to have them predicted"
        if self.measured_share is not None:
            return f"predicted at the measured {self.share:.0%} of {self.tflops:g} TFLOP/s"
        return f"predicted at an assumed {self.share:.0%} of {self.tflops:g} TFLOP/s; nothing was measured on it"


def known_devices() -> list[Device]:
    """The rows of the table."""
    rows = read_json(TABLE)
    assert isinstance(rows, list)
    return [
        Device(
            name=row["name"],
            memory=row["memory_gb"] * 1e9,
            tflops=row["bf16_tflops"],
            fp8_tflops=row["fp8_tflops"],
            pcie=row["pcie_gb_s"] * 1e9 * PCIE_SHARE,
            measured_share=row.get("measured_share"),
        )
        for row in rows
    ]


def _plain(name: str) -> str:
    words = re.sub(r"[^a-z0-9]+", " ", name.lower()).split()
    return "".join(word for word in words if word not in {"nvidia", "geforce", "gpu", "sxm", "sxm4", "sxm5", "hbm3"})


def find_device(text: str) -> Device:
    """A GPU by name ("RTX 4090", "h100"), or any device by its memory ("24GB", 10^9 bytes; "24GiB", 2^30).

    Raises:
        InputError: neither; the known names are listed.
    """
    size = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(gi?b)\s*", text.lower())
    if size:
        memory = float(size[1]) * (2**30 if size[2] == "gib" else 1e9)
        if memory <= 0:
            raise InputError(f"--gpu is {text!r}: give more than 0 GB")
        return Device(text.strip(), memory)
    devices = known_devices()
    wanted = _plain(text)
    for device in devices:
        if wanted and _plain(device.name) == wanted:
            return device
    found = [device for device in devices if wanted and wanted in _plain(device.name)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(device.name for device in (found or devices))
    raise InputError(f"--gpu is {text!r}: give its memory, such as 24GB, or one of {names}")


def named(name: str) -> Device | None:
    """The row of the table that a driver's name for a GPU ("NVIDIA A100-PCIE-40GB") speaks of; None if there is none.

    Whole words count: an L40 is no L4.
    """
    words = set(re.findall(r"[a-z0-9]+", name.lower()))
    known = [device for device in known_devices() if set(device.name.lower().split()) <= words]
    return max(known, key=lambda device: len(device.name), default=None)


def this_device(device: object) -> Device:
    """The device at hand: its free memory, and for a known GPU its rates.

    ``device`` is a torch device. On CUDA free memory is what the driver says; on the CPU what the system, or the
    control group that the process runs in, has left.
    """
    import torch

    device = torch.device(str(device))
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        name = torch.cuda.get_device_name(device)
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return replace(named(name) or Device(name, 0.0), name=name, memory=float(free + cached), reserve=0.0)
    return Device("this CPU", free_cpu_memory(), is_gpu=False, reserve=0.0)


def free_cpu_memory() -> float:
    """Bytes that this process may still take."""
    import psutil

    free = float(psutil.virtual_memory().available)
    group = Path("/sys/fs/cgroup")
    limit, used = group / "memory.max", group / "memory.current"
    if limit.is_file() and used.is_file() and limit.read_text().strip().isdecimal():
        free = min(free, float(limit.read_text()) - float(used.read_text()))
    return free


def measure_cpu(seconds: float = 0.5, size: int = 768) -> Device:
    """This CPU with its rate of float32 matrix products, measured on the spot."""
    import torch

    a = torch.randn(size, size)
    done, began = 0, time.perf_counter()
    _ = a @ a
    while (spent := time.perf_counter() - began) < seconds or not done:
        _ = a @ a
        done += 1
    rate = 2.0 * size**3 * (done + 1) / spent
    return Device("this CPU", free_cpu_memory(), tflops=rate / 1e12, measured_share=1.0, is_gpu=False, reserve=0.0)
