"""What decoding promises: an Example, or the Labels alone, of one record."""

import dataclasses
import io

import numpy as np
import tensorflow as tf
from PIL import Image

from st_keras.data import decode, records

PIXELS = np.random.default_rng(0).integers(0, 256, [60, 100, 3]).astype(np.uint8)
BOXES = np.array([[10.5, 20, 50, 100], [0, 0, 60, 33.25], [7, 8, 9, 11]], np.float32)


def encode(pixels, file_format="png", **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, file_format, **options)
    return buffer.getvalue()


def record(**changes):
    return dataclasses.replace(
        records.Record(
            image_id="a/b",
            encoded=encode(PIXELS),
            format="png",
            filename="b.png",
            height_px=60,
            width_px=100,
            boxes_yxyx=BOXES,
            labels=np.array([3, 1, 2]),
            texts=("kite", "ball", "cup"),
            is_crowd=np.array([False, True, False]),
        ),
        **changes,
    )


def serialized(without=(), **changes):
    example = records.to_example(record(**changes))
    for name in without:
        del example.features.feature[name]
    return example.SerializeToString()


class DecodeExampleTest(tf.test.TestCase):
    def test_pixels_boxes_and_id_come_back(self):
        example = decode.decode_example(serialized())
        self.assertAllEqual(example.image, PIXELS)
        self.assertAllClose(example.labels.boxes_yxyx, BOXES, atol=1e-4)
        self.assertEqual(example.image_id, b"a/b")

    def test_labels_count_from_1_in_a_file_and_class_ids_from_0(self):
        labels = decode.decode_example(serialized()).labels
        self.assertAllEqual(labels.class_ids, [2, 0, 1])
        kept = decode.decode_example(serialized(), label_of_class_0=0).labels
        self.assertAllEqual(kept.class_ids, [3, 1, 2])

    def test_a_human_box_has_score_1_and_every_box_counts(self):
        labels = decode.decode_example(serialized()).labels
        self.assertAllEqual(labels.scores, [1, 1, 1])
        self.assertAllEqual(labels.weights, [1, 1, 1])
        self.assertAllEqual(labels.is_crowd, [False, True, False])

    def test_a_teachers_scores_are_kept(self):
        scores = np.array([0.25, 0.5, 0.125], np.float32)
        labels = decode.decode_example(serialized(scores=scores)).labels
        self.assertAllEqual(labels.scores, scores)

    def test_a_picture_without_boxes_has_no_rows(self):
        empty = {
            "boxes_yxyx": np.zeros([0, 4]),
            "labels": np.zeros([0], np.int64),
            "texts": (),
            "is_crowd": None,
        }
        for scores in (None, np.zeros([0], np.float32)):
            labels = decode.decode_example(serialized(scores=scores, **empty)).labels
            self.assertEqual(labels.boxes_yxyx.shape, [0, 4])
            for field in labels[1:]:
                self.assertEqual(field.shape, [0])

    def test_the_dtypes_are_those_of_types(self):
        labels = decode.decode_example(serialized()).labels
        dtypes = [field.dtype for field in labels]
        floats = tf.float32
        self.assertEqual(dtypes, [floats, tf.int32, floats, floats, tf.bool])

    def test_grey_becomes_rgb(self):
        grey = PIXELS[:, :, 0]
        image = decode.decode_example(serialized(encoded=encode(grey))).image
        self.assertAllEqual(image, np.stack([grey] * 3, axis=-1))

    def test_jpeg_is_close_to_what_pil_reads(self):
        smooth = np.tile(np.arange(100, dtype=np.uint8)[None, :, None] * 2, [60, 1, 3])
        encoded = encode(smooth, "jpeg", quality=95)
        image = decode.decode_example(serialized(encoded=encoded)).image
        pil = np.asarray(Image.open(io.BytesIO(encoded)))
        self.assertAllClose(tf.cast(image, tf.int32), pil.astype(int), atol=2)

    def test_it_runs_inside_a_dataset_and_keeps_the_channels_static(self):
        dataset = tf.data.Dataset.from_tensors(serialized())
        spec = dataset.map(decode.decode_example).element_spec
        self.assertEqual(spec.image.shape.as_list(), [None, None, 3])
        self.assertEqual(spec.labels.boxes_yxyx.shape.as_list(), [None, 4])


class OtherToolsTest(tf.test.TestCase):
    """Records of tf-models-official have the same keys, without ours."""

    def test_crowd_flags_and_scores_may_be_absent(self):
        absent = [records.IS_CROWD, records.SOURCE, records.LABEL_TEXT]
        labels = decode.decode_example(serialized(absent)).labels
        self.assertAllEqual(labels.is_crowd, [False] * 3)
        self.assertAllEqual(labels.scores, [1.0] * 3)
        self.assertAllClose(labels.boxes_yxyx, BOXES, atol=1e-4)

    def test_a_record_without_its_size_or_id_is_refused(self):
        # A size of 0 would make every box vanish without a word.
        for name in (records.HEIGHT, records.WIDTH, records.IMAGE_ID):
            with self.assertRaisesRegex(tf.errors.InvalidArgumentError, name):
                decode.decode_labels(serialized([name]))

    def test_the_decoder_of_tf_models_official_reads_ours(self):
        from official.vision.dataloaders import tf_example_decoder

        theirs = tf_example_decoder.TfExampleDecoder().decode(serialized())
        self.assertAllEqual(theirs["image"], PIXELS)
        self.assertAllEqual(theirs["groundtruth_classes"], [3, 1, 2])
        self.assertAllEqual(theirs["groundtruth_is_crowd"], [False, True, False])
        boxes = theirs["groundtruth_boxes"] * [60, 100, 60, 100]
        self.assertAllClose(boxes, BOXES, atol=1e-4)
        # 39.5 * 80, 60 * 33.25 and 2 * 3 square pixels.
        self.assertAllClose(theirs["groundtruth_area"], [3160, 1995, 6])
        self.assertEqual(theirs["source_id"], b"a/b")


class DecodeLabelsTest(tf.test.TestCase):
    def test_the_labels_are_those_of_the_example(self):
        text = serialized(scores=np.array([0.5, 0.25, 1.0]))
        labels, image_id = decode.decode_labels(text)
        self.assertEqual(image_id, b"a/b")
        expected = decode.decode_example(text).labels
        for field, other in zip(labels, expected, strict=True):
            self.assertAllEqual(field, other)

    def test_the_picture_is_not_looked_at(self):
        labels, _ = decode.decode_labels(serialized(encoded=b"no picture"))
        self.assertAllClose(labels.boxes_yxyx, BOXES, atol=1e-4)


class DecodeImageIdTest(tf.test.TestCase):
    def test_it_is_the_id_of_the_record(self):
        text = serialized(image_id="für/日本")
        self.assertEqual(decode.decode_image_id(text), "für/日本".encode())


class DecodeLabelMapTest(tf.test.TestCase):
    def test_it_is_the_map_of_the_record(self):
        label_map = np.arange(60 * 100).reshape(60, 100).astype(np.uint8)
        png = tf.io.encode_png(label_map[..., None]).numpy()
        text = serialized(label_map_png=png)
        found, _ = decode.decode_label_map(text)
        self.assertAllEqual(found.class_ids, label_map)
        self.assertAllEqual(found.confidences, np.full([60, 100], 255))

    def test_confidences_are_those_of_the_record(self):
        planes = np.arange(2 * 60 * 100).reshape(2, 60, 100).astype(np.uint8)
        label_map, confidence = (
            tf.io.encode_png(plane[..., None]).numpy() for plane in planes
        )
        text = serialized(label_map_png=label_map, confidence_png=confidence)
        found, _ = decode.decode_label_map(text)
        self.assertAllEqual(found.class_ids, planes[0])
        self.assertAllEqual(found.confidences, planes[1])

    def test_without_one_nothing_is_known(self):
        found, image_id = decode.decode_label_map(serialized(image_id="x"))
        self.assertAllEqual(found.class_ids, np.full([60, 100], 255))
        self.assertEqual(found.class_ids.dtype, tf.uint8)
        self.assertEqual(image_id, b"x")
