"""Measures how the cost of a step, of reading and of evaluation grows with their size.

Between its last two points a curve grows with some power of x, its `exponent`: 1 is
linear, and less is better. A fixed cost lowers the exponent, so the last point is
placed where that cost counts for little.
"""

import functools
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from st_keras.data import dataset_info, images, pipeline, records
from st_keras.experiments import tables
from st_keras.experiments.benchmarks import growth_figure, steps, suite_parts, twins
from st_keras.experiments.benchmarks.twins import Sizes
from st_keras.metrics.average_precision import AveragePrecision
from st_keras.types import Boxes

_SIZES = Sizes("resnet18", (128, 128), batch_size=2, num_classes=81)
_PICTURES = 10_000  # Read from however many shards.
_TRUTH, _PREDICTED = 7, 100  # Boxes per evaluated picture; COCO's numbers.


class Curve(NamedTuple):
    """A quantity that grows, and the work that is timed."""

    unit: str  # Of x.
    what: str
    points: tuple[int, ...]
    prepare: Callable[[int], Callable[[], object]]  # Returns the work for an x.


def _step(sizes: Sizes, boxes: int = 8, replicas: int = 1) -> Callable:
    """Returns one training step of a RetinaNet, with a full batch on every replica."""
    tf.keras.backend.clear_session()
    config = twins.detection_config(sizes)
    devices = [f"CPU:{number}" for number in range(replicas)]
    strategy = tf.distribute.MirroredStrategy(
        devices, cross_device_ops=tf.distribute.ReductionToOneDevice()
    )
    with strategy.scope():
        task, model = twins.build(config)
        step = steps.ours(config, task, model)
    pictures = steps.make_pictures(
        sizes.batch_size, sizes.size_px, sizes.num_classes, boxes
    )
    batch = steps.our_batch(pictures)
    return tf.function(lambda: strategy.run(step, args=(batch,)))


def _reading(shards: int) -> Callable:
    """Returns a function that reads all pictures once, from that many files."""
    folder = tempfile.TemporaryDirectory()
    png = images.encode_png(np.zeros([8, 8, 3], np.uint8))
    tally = dataset_info.Tally()
    names = [f"{shard:05d}.tfrecord" for shard in range(shards)]
    numbers = np.array_split(np.arange(_PICTURES), shards)
    for name, some in zip(names, numbers, strict=True):
        with tf.io.TFRecordWriter(f"{folder.name}/{name}") as writer:
            for number in some:
                record = records.Record(
                    image_id=f"{number}",
                    encoded=png,
                    format="png",
                    filename="",
                    height_px=8,
                    width_px=8,
                )
                writer.write(records.to_example(record).SerializeToString())
                tally.add(record)
    told = {"class_names": ("a",), "skipped": {}, "content_sha256": "", "shards": names}
    info = tally.info(source="made", **told)
    dataset_info.save(info, folder.name)

    def read():
        glob = f"{folder.name}/*.tfrecord"
        source = pipeline.open_source(glob, None, cache_mb=0)
        stream = pipeline.serialized_records(source).batch(1000)
        return sum(len(part) for part in stream.as_numpy_iterator())

    return read


def _judging(count: int) -> Callable:
    """Returns a function that computes COCO's average precision of `count` pictures."""
    random = np.random.default_rng(0)

    def boxes(rows):
        corners = random.uniform(0, 400, [rows, 2])
        sides = random.uniform(10, 200, [rows, 2])
        return Boxes(
            np.concatenate([corners, corners + sides], 1).astype(np.float32),
            random.integers(0, 80, rows).astype(np.int32),
            random.uniform(0, 1, rows).astype(np.float32),
            np.ones(rows, np.float32),
            np.zeros(rows, bool),
        )

    pictures = [(boxes(_TRUTH), boxes(_PREDICTED)) for _ in range(count)]

    def judge():
        metric = AveragePrecision(tuple(f"class_{number}" for number in range(80)))
        for number, (truth, predicted) in enumerate(pictures):
            metric.add(f"{number}", truth, predicted)
        return metric.result()

    return judge


def _sized(**changes) -> Sizes:
    return Sizes(**{**vars(_SIZES), **changes})


CURVES = {
    "growth/batch": Curve(
        "pictures",
        "a step of training",
        (1, 2, 4, 8, 16),
        lambda x: _step(_sized(batch_size=x)),
    ),
    "growth/image_size": Curve(
        "pixels",
        "a step of training",
        (128**2, 256**2, 384**2, 512**2),
        lambda x: _step(_sized(size_px=(round(x**0.5),) * 2)),
    ),
    "growth/objects": Curve(
        "boxes",
        "a step of training",
        (1, 10, 30, 100),
        lambda x: _step(_SIZES, boxes=x),
    ),
    "growth/classes": Curve(
        "classes",
        "a step of training",
        (80, 365, 1200),
        lambda x: _step(_sized(num_classes=x + 1)),
    ),
    "growth/replicas": Curve(
        "replicas",
        "a step of training, two pictures each",
        (1, 2, 4),
        lambda x: _step(_SIZES, replicas=x),
    ),
    "growth/shards": Curve(
        "shards",
        f"reading {_PICTURES:,} records",
        (10, 100, 1000, 10_000),
        _reading,
    ),
    "growth/evaluation": Curve(
        "pictures",
        "COCO's average precision",
        (500, 1000, 2500, 5000),
        _judging,
    ),
}


def run(
    output: str,
    *,
    command: str,
    only: Sequence[str] = (),
    pairs: int = 5,
    curves: dict[str, Curve] = CURVES,
) -> dict:
    """Measures the curves and writes them as JSON and as a figure beside it.

    Args:
      output: JSON file.
      command: Repeats the measurement; it is stored with the results.
      only: Names of curves; empty is all.
      pairs: How often each point is measured.
      curves: By name.

    Returns:
      What is in the file.

    Raises:
      ValueError: A name is unknown.
    """
    chosen = suite_parts.chosen(list(curves), only)
    _use_cpus()
    content: dict = {"curves": {}, "how": "median seconds of the process's CPU time"}
    with tqdm(total=sum(len(curves[name].points) for name in chosen)) as bar:
        for name in chosen:
            bar.set_description(name)
            curve = curves[name]
            points = list(_measure(curve, pairs, bar))
            content["curves"][name] = {
                "what": curve.what,
                "unit": curve.unit,
                "points": points,
                "exponent": round(_exponent(*points[-2:]), 2),
            }
            suite_parts.write(output, "growth", command, content)
    growth_figure.draw(f"{output.removesuffix('.json')}.png", content["curves"])
    return content


def _use_cpus() -> None:
    """Gives the process a CPU for each replica; must run before TensorFlow starts."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    if tf.config.get_logical_device_configuration(cpu) is None:
        replicas = max(CURVES["growth/replicas"].points)
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * replicas
        )


def _measure(curve: Curve, repeats: int, bar: tqdm) -> Iterator[dict]:
    for x in curve.points:
        work = curve.prepare(x)
        work()  # Traces.
        runs = [_seconds(work) for _ in range(repeats)]
        middle = statistics.median(runs)
        yield {"x": x, "seconds": middle, "runs": runs}
        bar.update()


def _seconds(work: Callable) -> float:
    # CPU time of the process: other load on the machine hardly changes it.
    started = time.process_time()
    work()
    return float(f"{time.process_time() - started:.4g}")


def _exponent(before: dict, last: dict) -> float:
    """Returns e where seconds grow like x^e from one point to the next."""
    grown = math.log(last["seconds"] / before["seconds"])
    return grown / math.log(last["x"] / before["x"])


def format_content(content: dict, to_table: Callable = tables.align) -> str:
    """Returns what `run` found as a table."""
    rows = [["", "what", "from", "to", "seconds", "exponent of the last step"]]
    for name, curve in content["curves"].items():
        first, last = curve["points"][0], curve["points"][-1]
        ends = [f"{point['x']:,} {curve['unit']}" for point in (first, last)]
        seconds = f"{first['seconds']:.3g} to {last['seconds']:.3g}"
        rows.append([name, curve["what"], *ends, seconds, f"{curve['exponent']:.2f}"])
    return to_table(rows)


format_markdown = functools.partial(format_content, to_table=tables.markdown)
