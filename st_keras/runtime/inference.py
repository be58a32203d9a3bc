"""A trained model, ready to look at pictures."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from st_keras.data import pipeline
from st_keras.ops import images
from st_keras.tasks import Task
from st_keras.types import Labels


class Predictor:
    """Runs a task's model over records, in inference mode, one batch after another.

    BatchNorm uses its stored statistics, so what is seen in one picture does not
    depend on the pictures beside it.
    """

    def __init__(self, task: Task, model: tf.keras.Model):
        self._task = task
        self._model = model
        self._run = tf.function(self.forward)

    def over_records(
        self, source: pipeline.Source, *, batch_size: int, progress: str = ""
    ) -> Iterator[tuple[str, Labels]]:
        """Yields each picture's id and what is seen in it.

        Args:
          source: The records.
          batch_size: Pictures at a time.
          progress: Title of the progress bar; empty: none.

        Yields:
          Image id; Labels [N, ...] NumPy arrays in pixels of the original picture,
          best first, without padding.
        """
        return self.over_serialized(
            pipeline.serialized_records(source),
            count=source.count,
            batch_size=batch_size,
            progress=progress,
        )

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
          count: How many are expected, for the progress bar alone.
          batch_size: Pictures at a time.
          progress: Title of the progress bar; empty: none.
        """
        batches = pipeline.ordered_batches(
            serialized,
            lambda record: self._task.prepare(record, None, num_boxes=0),
            batch_size=batch_size,
        )
        bar = tqdm(total=count, desc=progress, unit="img", disable=not progress)
        with bar:
            for prepared in batches:
                predicted = self._run(
                    prepared.image, prepared.scale_yx, prepared.original_size_px
                )
                predicted = Labels(*(field.numpy() for field in predicted))
                is_real = prepared.scale_yx[:, 0].numpy() > 0.0  # Not filled up.
                for row, image_id in enumerate(prepared.image_id.numpy()):
                    if is_real[row]:
                        yield image_id.decode(), without_padding(predicted, row)
                        bar.update()

    def forward(
        self, image: tf.Tensor, scale_yx: tf.Tensor, original_size_px: tf.Tensor
    ) -> Labels:
        """Returns what is seen in a batch, to be traced.

        Args:
          image: [B, H, W, 3] uint8, as in `Prepared`, like the others.
          scale_yx: [B, 2] float32; zeros in a row that fills the batch up.
          original_size_px: [B, 2] int32.

        Returns:
          Labels [B, N, ...] in pixels of the original pictures.
        """
        dtype = self._model.compute_dtype
        outputs = self._model(images.normalize(image, dtype), training=False)
        # A filled row has a scale of 0, which would divide by zero.
        scale_yx = tf.where(scale_yx > 0.0, scale_yx, 1.0)
        return self._task.predict(outputs, scale_yx, original_size_px)


def without_padding(labels: Labels, row: int | None = None) -> Labels:
    """Returns the rows that count, of one picture of a batch or of a single one."""
    fields = [field if row is None else field[row] for field in labels]
    counts = np.asarray(fields[Labels._fields.index("weights")]) > 0
    return Labels(*(np.asarray(field)[counts] for field in fields))
