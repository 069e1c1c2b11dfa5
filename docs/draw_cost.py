"""Writes the tables of docs/cost.md and draws docs/images/context_growth.svg, from the formulas and benchmarks/results:

python docs/draw_cost.py
"""

import json
import re
from dataclasses import replace
from pathlib import Path

from video4spatial.model.cost import SequenceShape, training_estimate
from video4spatial.sample.devices import find_device
from video4spatial.sample.modes import MODES, choose
from video4spatial.sample.plan import estimate, propose
from video4spatial.sample.request import Request

DOCS = Path(__file__).parent
RESULTS = DOCS.parent / "benchmarks" / "results"
PAPER = Request()
CONTEXTS = (0, 21, 42, 85, 170, 340, 510, 680)
GPUS = ("RTX 3090", "RTX 4090", "RTX 5090", "A100 80GB", "H100", "H200", "B200")


def table(head: str, rows: list[str]) -> str:
    return "\n".join([head, "|" + "---|" * (head.count("|") - 1), *rows])


def gb(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds >= 1 else f"{1e3 * seconds:.0f} ms"


def phases() -> str:
    """The paper's setting, phase by phase."""
    made = estimate(PAPER)
    rows = []
    for phase in made.phases:
        parts = ", ".join(f"{name} {gb(size)}" for name, size in phase.parts.items() if size > 2e7)
        rows.append(f"| {phase.name} | {gb(phase.peak)} | {parts} | {phase.flops / 1e15:.3f} |")
    return table("| phase | peak | of which | PFLOP |", rows)


def fitting() -> str:
    """What is proposed for a memory."""
    rows = []
    for memory in ("24GB", "16GB", "12GB", "8GB"):
        for proposal in propose(PAPER, find_device(memory)):
            words = (
                f"`{proposal.options}`" if proposal.options else "as it is (text encoder and transformer take turns)"
            )
            rows.append(f"| {memory} | {gb(proposal.estimate.peak)} | {words} |")
    return table("| GPU | peak | settings |", rows)


def seconds() -> str:
    """Predicted seconds of a clip."""
    rows = []
    for name in GPUS:
        device = find_device(name)
        best = propose(PAPER, device)[0].estimate
        cached = estimate(replace(PAPER, context_attention="causal"), device=device)
        basis = "measured share" if device.measured_share else "assumed 50 %"
        rows.append(f"| {name} | {time(best.seconds or 0)} | {time(cached.seconds or 0)} | {basis} |")
    return table("| GPU | exact | cached-context | share of the datasheet's bf16 rate |", rows)


def growth() -> str:
    """Long context at full size."""
    device, rows = find_device("H100"), []
    for context in CONTEXTS:
        both = estimate(replace(PAPER, context_latents=context), device=device)
        one = estimate(replace(PAPER, context_latents=context, branches="sequential"), device=device)
        cached = estimate(replace(PAPER, context_latents=context, context_attention="causal"), device=device)
        tokens = SequenceShape(context, 46).tokens
        frames = max(0, 4 * context - 3)
        rows.append(
            f"| {context} ({frames}) | {tokens:,} | {both.flops / 1e15:.1f} | {gb(both.peak)} | {gb(one.peak)} | "
            f"{time(both.seconds or 0)} | {time(cached.seconds or 0)} |"
        )
    head = "| context latents (frames) | tokens | PFLOP a clip | peak, batched | sequential | H100 | cached-context |"
    return table(head, rows)


def modes() -> str:
    """Operations of every mode, by formula."""
    exact = estimate(PAPER).flops
    rows = [f"| exact | {exact / 1e15:.1f} | 1 | {gb(estimate(PAPER).peak)} | the paper's computation |"]
    for mode in MODES.values():
        chosen = choose([mode.name])
        steps = chosen.steps_of(PAPER.steps) or PAPER.steps
        request = Request.of(vars(PAPER), chosen.sampling(), steps=steps, weights=chosen.weights)
        made = estimate(request)
        share = "depends on the clip" if mode.name == "block-cache" else f"{made.flops / exact:.2f}"
        rows.append(f"| `{mode.name}` | {made.flops / 1e15:.1f} | {share} | {gb(made.peak)} | {mode.accuracy} |")
    return table("| mode | PFLOP a clip | of exact | peak | result |", rows)


def training() -> str:
    """Predicted memory and days of the paper's runs."""
    rows = []
    for name, steps in (("grounding", 20_000), ("navigation", 10_000)):
        for gpus in (1, 8):
            run = training_estimate(steps=steps, gpus=gpus)
            m = run.memory
            weights = m["frozen weights"] + m["trained weights"]
            rows.append(
                f"| {name}, {steps:,} steps of 160 | {gpus} | {gb(run.memory_per_gpu)} | {gb(weights)} | "
                f"{gb(m['optimiser states'])} | {gb(m['activations'])} | {run.days:.1f} |"
            )
    return table("| run | H100s | memory a GPU | weights | optimiser | activations | days |", rows)


def off(ratio: float) -> str:
    percent = round(100 * (ratio - 1), 1)
    return f"{percent:+.1f} %" if percent else "0.0 %"


def read(pattern: str) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(RESULTS.glob(pattern))]


def checked() -> str:
    """The plan against live tensors."""
    rows = [
        f"| {row['name']} | {row['predicted'] / 1e9:.2f} | {row['counted'] / 1e9:.2f} | {off(row['ratio'])} |"
        for report in read("plan_check.json")
        for row in report["rows"]
    ]
    return table("| at full size | predicted, GB | counted, GB | off by |", rows)


def sampling_results(tiny: bool) -> str:
    """Measured sampling, a table a device."""
    reports = [r for r in read("full_size_*.json") if r["tiny"] == tiny]
    if not reports:
        return "Not measured yet: run `python benchmarks/full_size.py` on a CUDA GPU (9 minutes, random weights)."
    return "\n\n".join(map(_sampling_result, reports))


def _sampling_result(report: dict) -> str:
    rows = []
    for case in report["cases"]:
        if "failed" in case:
            rows.append(f"| {case['name']} | | | | | | {case['failed'].split(': ', 1)[-1].split(':')[0]} |")
            continue
        share = "" if case["name"] == "block-cache" else f"{case['share_of_measured_matmul']:.0%}"
        stock = f"{case['times_stock']:.2f}" if "times_stock" in case else ""
        rows.append(
            f"| {case['name']} | {time(case['seconds_a_step'])} | {case['seconds_a_clip_extrapolated']:.1f} s | "
            f"{stock} | {share} | {gb(case['peak_allocated'])} | "
            f"{off(case['predicted_to_measured'])} |"
        )
    head = "| case | a step | a clip | times stock | share of matmul rate | peak | plan off by |"
    rate = ", ".join(f"{name} {value:.3g} TFLOP/s" for name, value in report["matmul_tflops"].items())
    return f"{_machine(report)}; large matrix products: {rate}.\n\n{table(head, rows)}\n\n{_kernels(report)}"


def _machine(report: dict) -> str:
    m = report["machine"]
    torch_version = m["packages"]["torch"]
    return f"{m['device']}, torch {torch_version}, commit {m['commit']}, `{m['command']}`"


def _kernels(report: dict) -> str:
    kernels = report.get("kernels")
    if not isinstance(kernels, list) or not kernels:  # the profiler failed, or time was up before
        return "Kernels were not profiled."
    return "Most time went to " + ", ".join(f"`{k['name']}` ({k['share']:.0%})" for k in kernels[:5]) + "."


def training_results(tiny: bool) -> str:
    """Measured training steps, a table a device."""
    reports = [r for r in read("train_step_*.json") if r["tiny"] == tiny]
    if not reports:
        return "Not measured yet: run `python benchmarks/train_step.py` on a CUDA GPU (9 minutes, random weights)."
    parts = []
    for report in reports:
        rows = [
            f"| {c['name']} | | | | {c['failed'].split(':')[0]} |"
            if "failed" in c
            else f"| {c['name']} | {c['samples_a_second']:.2f} | {c['mfu']:.0%} | {gb(c['peak_allocated'])} | "
            f"{off(c['predicted_to_measured'])} |"
            for c in report["cases"]
        ]
        head = "| case | samples/s | MFU | peak | plan off by |"
        parts.append(f"{_machine(report)}.\n\n{table(head, rows)}\n\n{_kernels(report)}")
    return "\n\n".join(parts)


BLOCKS = {
    "phases": phases,
    "fitting": fitting,
    "seconds": seconds,
    "growth": growth,
    "modes": modes,
    "training": training,
    "checked": checked,
    "sampling on GPUs": lambda: sampling_results(False),
    "training on GPUs": lambda: training_results(False),
    "sampling, tiny": lambda: sampling_results(True),
    "training, tiny": lambda: training_results(True),
}


def filled(page: str) -> str:
    """The page with every block between its markers made anew."""
    for name, make in BLOCKS.items():
        found = re.search(rf"<!-- {re.escape(name)} -->\n.*?<!-- end -->", page, re.DOTALL)
        assert found is not None, f"cost.md has no block {name!r}"
        page = f"{page[: found.start()]}<!-- {name} -->\n{make()}\n<!-- end -->{page[found.end() :]}"
    return page


def drawing() -> str:
    """Memory and operations against context, as SVG."""
    width, height, left, top, plot = 640, 300, 56, 34, 220
    span = 230
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"',
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    latents = list(range(0, 681, 20))
    series = {
        "peak memory, GB": {
            "batched": [estimate(replace(PAPER, context_latents=c)).peak / 1e9 for c in latents],
            "sequential": [
                estimate(replace(PAPER, context_latents=c, branches="sequential")).peak / 1e9 for c in latents
            ],
        },
        "PFLOP a clip": {
            "joint": [estimate(replace(PAPER, context_latents=c)).flops / 1e15 for c in latents],
            "cached": [
                estimate(replace(PAPER, context_latents=c, context_attention="causal")).flops / 1e15 for c in latents
            ],
        },
    }
    for number, (title, curves) in enumerate(series.items()):
        x0 = left + number * (span + 84)
        highest = max(max(values) for values in curves.values()) * 1.05
        lines.append(f'<text x="{x0}" y="{top - 14}" font-weight="bold">{title}</text>')
        lines.append(f'<rect x="{x0}" y="{top}" width="{span}" height="{plot}" fill="none" stroke="#999"/>')
        for tick in range(5):
            y, value = top + plot * (1 - tick / 4), highest * tick / 4
            lines.append(f'<text x="{x0 - 6}" y="{y + 4:.1f}" text-anchor="end" fill="#555">{value:.0f}</text>')
        for context in (0, 85, 340, 680):
            x = x0 + span * context / 680
            lines.append(f'<text x="{x:.1f}" y="{top + plot + 16}" text-anchor="middle" fill="#555">{context}</text>')
        lines.append(
            f'<text x="{x0 + span / 2}" y="{top + plot + 34}" text-anchor="middle">latents of context (4 frames)</text>'
        )
        for (name, values), colour in zip(curves.items(), ("#c83228", "#2850c8"), strict=True):
            points = [
                (x0 + span * c / 680, top + plot * (1 - v / highest)) for c, v in zip(latents, values, strict=True)
            ]
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
            lines.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
            x, y = points[-8]
            lines.append(f'<text x="{x - 6:.1f}" y="{y - 8:.1f}" text-anchor="end" fill="{colour}">{name}</text>')
    return "\n".join([*lines, "</svg>"]) + "\n"


def main() -> None:
    page = DOCS / "cost.md"
    page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
    (DOCS / "images" / "context_growth.svg").write_text(drawing(), encoding="utf-8")


if __name__ == "__main__":
    main()
