"""Measures one side in a process of its own: the time of its first call, its memory.

python -m st_keras.experiments.benchmarks.lone step ours resnet50 256 4 91 float32
"""

import json
import subprocess
import sys
import time

from tqdm import tqdm

from st_keras.experiments.benchmarks import rows
from st_keras.runtime.peak_memory import peak_memory_bytes

_CALLS = 3  # Memory can grow after the first.
_MOST_PAIRS = 3  # Of processes, which take long to start.

ENDS = {
    "/first_call": (
        "Building, tracing and the first call, each side in a process of its own, from "
        "the end of TensorFlow's import on. Processor time, which what else the "
        "machine does hardly changes."
    ),
    "/peak_memory": "Resident, of the same processes, after four calls.",
}


def rows_of(
    kind: str, name: str, sizes, chosen: list[str], pairs: int, bar: tqdm
) -> list[dict]:
    """Returns the rows of one case that need processes of their own.

    Those of first calls are in processor time; their `runs` have the wall time too.

    Args:
      kind: step or predict.
      name: Of the case; the ends are appended to it.
      sizes: `twins.Sizes`, square.
      chosen: Rows to measure; all others are left out.
      pairs: How often both sides are run, three times at most.
      bar: Advances with each row and pair.
    """
    wanted = [end for end in ENDS if f"{name}{end}" in chosen]
    if not wanted:
        return []
    bar.set_description(f"{name}: processes")
    runs = [
        {side: measure(kind, side, sizes) for side in ("ours", "peer")}
        for _ in range(min(pairs, _MOST_PAIRS))
    ]
    bar.update(len(wanted) * pairs)
    fields = {"/first_call": ("cpu_seconds", "s"), "/peak_memory": ("peak_mb", "MB")}
    found = []
    for end in wanted:
        key, unit = fields[end]
        costs = ([run[side][key] for run in runs] for side in ("ours", "peer"))
        found.append(
            rows.compare_costs(f"{name}{end}", *costs, unit=unit, note=ENDS[end])
        )
        if end == "/first_call":
            for noted, run in zip(found[-1]["runs"], runs, strict=True):
                for side, measured in run.items():
                    noted[f"{side}_wall_seconds"] = round(measured["wall_seconds"], 2)
    return found


def measure(kind: str, side: str, sizes) -> dict:
    """Runs one side in a new process.

    Args:
      kind: step or predict.
      side: ours or peer.
      sizes: `twins.Sizes`, square.

    Returns:
      `wall_seconds` and `cpu_seconds` from TensorFlow's import to the end of the first
      call, building and tracing included, and `peak_mb`, resident.
    """
    arguments = [kind, side, sizes.backbone, sizes.size_px[0], sizes.batch_size]
    arguments += [sizes.num_classes, sizes.precision]
    done = subprocess.run(
        [sys.executable, "-m", __name__, *map(str, arguments)],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{kind} of {side} failed: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def _main(kind, side, backbone, size_px, batch_size, num_classes, precision) -> None:
    from st_keras import environment

    environment.quiet()
    # Before the clocks start, since both sides need it.
    import tensorflow  # noqa: F401

    wall, cpu = time.perf_counter(), time.process_time()
    call = _prepare(
        kind,
        side,
        (backbone, (int(size_px),) * 2, int(batch_size), int(num_classes)),
        precision,
    )
    call()
    found = {
        "wall_seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
    }
    for _ in range(_CALLS):
        call()
    print(json.dumps(found | {"peak_mb": peak_memory_bytes() / 2**20}))


def _prepare(kind: str, side: str, numbers: tuple, precision: str):
    from st_keras.experiments.benchmarks import predictions, steps, twins

    sizes = twins.Sizes(*numbers, precision=precision)
    config = twins.detection_config(sizes)
    pictures = steps.make_pictures(sizes.batch_size, sizes.size_px, sizes.num_classes)
    if side == "ours":
        task, model = twins.build(config)
        if kind == "step":
            step, batch = steps.ours(config, task, model), steps.our_batch(pictures)
            return lambda: step(batch)
        return predictions.ours(task, model, pictures.pixels)
    task, model = twins.peer_detector(sizes)
    if kind == "step":
        step = steps.peer(config, task, model)
        batches = iter(steps.peer_batches(task, pictures))
        return lambda: step(*next(batches))
    fast = predictions.with_suppression(task, model, "batched")
    return predictions.peer(fast, pictures.pixels)


if __name__ == "__main__":
    _main(*sys.argv[1:])
