"""A trained model, ready to look at pictures."""

import collections
import itertools
import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from st_keras.data import decode, pipeline, records, threads
from st_keras.data.records import Record
from st_keras.ops import images
from st_keras.runtime import hosts as hosts_lib
from st_keras.tasks import Task
from st_keras.types import Labels, View


class Predictor:
    """Runs a task's model over records, in inference mode, one batch after another.

    A picture may take several views, and a batch may mix views of several pictures.
    This host's replicas, of the strategy that the model was built under, share every
    batch; other hosts may run over other pictures meanwhile.

    BatchNorm uses its stored statistics, so the predictions for a picture do not depend
    on the others in its batch.
    """

    def __init__(self, task: Task, model: tf.keras.Model):
        self._task = task
        self._model = model
        self._strategy = model.distribute_strategy
        self.hosts = hosts_lib.of_strategy(self._strategy)
        replicas = self._strategy.num_replicas_in_sync
        self.replicas = replicas // self.hosts.count  # Of this host.
        self._run = tf.function(self._on_replicas, autograph=False)
        self.views_seen = 0  # So far, without padding.
        self._look = tf.function(
            self._look_at,
            autograph=False,
            input_signature=[tf.TensorSpec([], tf.string)],
        )

    def over_records(
        self, source: pipeline.Source, *, batch_size: int, progress: str = ""
    ) -> Iterator[tuple[str, Labels]]:
        """Yields each picture's id and its predictions.

        Args:
          source: The records.
          batch_size: Views at a time.
          progress: Title of the progress bar; empty: none.

        Yields:
          Image id; the result of `Task.merge_views`, NumPy, in pixels of the original
          picture.
        """
        return self.over_serialized(
            pipeline.serialized_records(source),
            count=source.count,
            batch_size=batch_size,
            progress=progress,
        )

    def over_pictures(
        self, pictures: Iterable[Record], *, batch_size: int
    ) -> Iterator[tuple[Record, Labels]]:
        """Yields pictures with their predictions, in order.

        The next pictures are prepared while the model runs on a batch; an error in
        reading one reaches the caller after the pictures before it.

        Args:
          pictures: Read once; their labels are ignored.
          batch_size: Views at a time.
        """
        # Not a tf.data.Dataset from a generator, which is stateful: a deterministic run
        # would then decode one picture at a time.
        reading = _Reading(threads.in_order(self._prepare, pictures))
        batches = _full_batches(reading.views(), self._whole(batch_size))
        for image_id, labels in self._merged(batches):
            picture = reading.under_way.popleft()
            if picture.image_id != image_id:
                raise AssertionError(f"{picture.image_id} looked at as {image_id}.")
            yield picture, labels
        error, reading.error = reading.error, None
        try:
            if error:
                raise error
        finally:
            del error  # Its traceback holds this frame: a cycle.

    def over_serialized(
        self,
        serialized: tf.data.Dataset,
        *,
        count: int,
        batch_size: int,
        progress: str = "",
    ) -> Iterator[tuple[str, Labels]]:
        """Yields the same for serialised records that need not be in a file.

        Args:
          serialized: [] strings; each has an image id.
          count: How many are expected; only the progress bar uses it.
          batch_size: Views at a time.
          progress: Title of the progress bar; empty: none.
        """
        found = self._merged(self._batches(serialized, batch_size))
        yield from tqdm(found, progress, count, unit="img", disable=not progress)

    # A method: a TPU refuses functions whose name begins with `<`, as a lambda's does.
    def _on_replicas(self, view: View):
        return self._strategy.run(self.forward, args=(view,))

    def _batches(self, serialized: tf.data.Dataset, batch_size: int) -> tf.data.Dataset:
        return pipeline.ordered_batches(
            serialized,
            self._look_at,
            batch_size=self._whole(batch_size),
        )

    def _whole(self, batch_size: int) -> int:
        """Returns the batch size, rounded up to a multiple of the replicas."""
        return math.ceil(batch_size / self.replicas) * self.replicas

    def _prepare(self, picture: Record) -> tuple[Record, list[dict]]:
        """Returns a picture and a list of its views. Called from several threads."""
        serialized = records.to_example(picture).SerializeToString()
        try:
            with tf.device("CPU:0"):
                return picture, _rows(self._look(serialized))
        except tf.errors.InvalidArgumentError as error:
            reason = error.message.split("\n")[0]
            message = f"{picture.image_id}: cannot be decoded: {reason}"
            raise tf.errors.InvalidArgumentError(None, None, message) from None

    def _merged(self, batches: Iterable[dict]) -> Iterator[tuple[str, Labels]]:
        """Yields image ids with the merged predictions of all views of the picture."""
        views, read = [], []  # Of the current picture.
        for batch, found in _one_ahead((b, self._start(b["view"])) for b in batches):
            # The host needs no copy of the pixels.
            kept = _rows(batch["view"]._replace(image=batch["count"]))
            found = [row for part in found for row in _rows(part)]
            counts = batch["count"].numpy()  # 0: a padding row.
            for row in range(int(np.count_nonzero(counts))):
                self.views_seen += 1
                views.append(kept[row])
                read.append(found[row])
                if len(views) == counts[row]:
                    image_id = batch["image_id"][row].numpy().decode()
                    yield image_id, self._task.merge_views(read, views)
                    views, read = [], []

    def _start(self, view: View) -> list:
        """Starts each replica on its part of a batch; returns the results of each."""
        replicas = self.replicas
        if self._strategy.num_replicas_in_sync == 1:
            return [self._run(view)]

        def spread(field):
            parts = tf.split(field, replicas)
            return self._strategy.experimental_distribute_values_from_function(
                lambda context: parts[context.replica_id_in_sync_group % replicas]
            )

        read = self._run(tf.nest.map_structure(spread, view))
        locals_of = self._strategy.experimental_local_results
        per_field = [locals_of(field) for field in tf.nest.flatten(read)]
        return [
            tf.nest.pack_sequence_as(read, [field[i] for field in per_field])
            for i in range(replicas)
        ]

    def forward(self, view: View) -> Any:
        """Returns what the task reads from the model's outputs; called while tracing.

        Args:
          view: [B, ...]; a row of zeros is padding.
        """
        outputs, view = self.outputs(view)
        return self._task.read_outputs(outputs, view)

    def outputs(self, view: View) -> tuple[dict, View]:
        """Returns the model's outputs, and the view with scales safe to divide by.

        Args:
          view: [B, ...]; a row of zeros is padding.
        """
        dtype = self._model.compute_dtype
        outputs = self._model(images.normalize(view.image, dtype), training=False)
        # A padding row has a scale of 0, which would divide by zero.
        scale_yx = tf.where(view.scale_yx > 0.0, view.scale_yx, 1.0)
        return outputs, view._replace(scale_yx=scale_yx)

    def _look_at(self, serialized: tf.Tensor) -> dict:
        image = decode.decode_image(decode.decode_encoded(serialized))
        view = self._task.views(image)
        count = tf.shape(view.scale_yx)[0]
        image_id = decode.decode_image_id(serialized)
        return {
            "view": view,
            "image_id": tf.fill([count], image_id),
            "count": tf.fill([count], count),
        }


class _Reading:
    """The pictures on their way through the model, and the error that ended reading."""

    def __init__(self, prepared: Iterator[tuple[Record, list[dict]]]):
        self.under_way: collections.deque[Record] = collections.deque()
        self.error: Exception | None = None
        self._prepared = prepared

    def views(self) -> Iterator[dict]:
        try:
            for picture, views in self._prepared:
                self.under_way.append(picture)
                yield from views
        except Exception as error:  # Raised later: the model is a batch behind.
            self.error = error


def _full_batches(examples: Iterator[dict], batch_size: int) -> Iterator[dict]:
    """Yields batches as `pipeline.ordered_batches` does, from NumPy examples."""
    while rows := list(itertools.islice(examples, batch_size)):
        zeros = tf.nest.map_structure(_zero_of, rows[0])
        yield _stacked(rows + [zeros] * (batch_size - len(rows)))


def _zero_of(value: np.ndarray | bytes) -> np.ndarray | bytes:
    return b"" if isinstance(value, bytes) else np.zeros_like(value)


def _stacked(rows: list[dict]) -> dict:
    def stacked(*each):
        # NumPy would strip zero bytes from the ends of strings.
        return tf.constant(each if isinstance(each[0], bytes) else np.stack(each))

    with tf.device("CPU:0"):
        return tf.nest.map_structure(stacked, *rows)


def _one_ahead(started: Iterator) -> Iterator:
    """Yields each item once the next one has been started, so that no device waits."""
    before = None
    for current in started:
        if before is not None:
            yield before
        before = current
    if before is not None:
        yield before


def _rows(batch: Any) -> list:
    """Returns a nest of tensors [B, ...] as a list of B nests of NumPy arrays."""
    fields = [field.numpy() for field in tf.nest.flatten(batch)]
    return [
        tf.nest.pack_sequence_as(batch, [field[row] for field in fields])
        for row in range(len(fields[0]))
    ]
