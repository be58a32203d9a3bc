"""One policy, ready to change pictures: on the host, or on the device from a canvas."""

import dataclasses
import functools

import tensorflow as tf

from st_keras.data.augment import (
    box_contents,
    canvas,
    crops,
    cuts,
    geometry,
    moved_boxes,
    operations,
    pixels,
    policies,
    shrinking,
    warp,
)
from st_keras.data.augment import changes as changes_lib
from st_keras.data.augment.changes import Changes
from st_keras.data.augment.operations import Menu
from st_keras.data.augment.policies import Policy
from st_keras.data.augment.warp import FILL_GREY, FILL_LABEL
from st_keras.ops import boxes, images
from st_keras.types import Boxes, LabelMap


@dataclasses.dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How training pictures are changed. The order is: pixels, cuts, moves.

    Moves come last and together, so that a picture is resampled once; the area a move
    leaves empty is always grey, and no statistic counts it.
    """

    target_size_px: tuple[int, int]  # Height and width of the network's input.
    # Size of the picture relative to the network's input, drawn between the two.
    scale_min: float
    scale_max: float
    flip_probability: float  # Left to right.
    menu: Menu = Menu()  # Of operations, from which rows are drawn; empty: none.
    color_strength: float = 0.0  # Of brightness, contrast and saturation.
    min_visible_share: float = 0.25  # Boxes that show less of their area are dropped.
    authors_quirks: bool = False
    crop: crops.Crop | None = None  # Replaces the jitter of the scale.

    def halvings(
        self, size_px: tf.Tensor, seed: tf.Tensor, *, for_canvas: bool = False
    ) -> tf.Tensor:
        """Returns how often a picture can be halved before `sample` without loss.

        Args:
          size_px: [2] int32 height and width of the picture.
          seed: As `sample` will get it.
          for_canvas: The picture goes to a canvas first, which shows it whole.

        Returns:
          [] int32 in [0, 3].
        """
        if self.authors_quirks:  # Their lengths are pixels of the whole picture.
            return tf.constant(0)
        seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
        scale = geometry.fitting_scale(size_px, self.target_size_px)
        if self.crop and not for_canvas:
            scale = crops.crop_scale(size_px, self.target_size_px, seeds[0], self.crop)
        elif not for_canvas:
            scale *= geometry.jitter_scale(seeds[0], self.scale_min, self.scale_max)
        return shrinking.halvings(scale)

    def sample(
        self, size_px: tf.Tensor, boxes_yxyx: tf.Tensor, seed: tf.Tensor
    ) -> Changes:
        """Samples what is done to a picture.

        Args:
          size_px: [2] int32 height and width of the picture.
          boxes_yxyx: [N, 4] float32 in its pixels; none is legal, and so is padding.
          seed: [2] int32 or int64.
        """
        seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
        return changes_lib.sample(
            self.menu,
            size_px,
            boxes_yxyx,
            self._sample_map(size_px, seeds[0]),
            self.target_size_px,
            seeds[1],
            color_strength=self.color_strength,
            authors_quirks=self.authors_quirks,
        )

    def apply(self, image: tf.Tensor, changes: Changes) -> tf.Tensor:
        """Returns the network's input for a picture.

        Args:
          image: [H, W, 3] uint8.
          changes: For this picture.

        Returns:
          [*target_size_px, 3] uint8, static shape.

        Raises:
          ValueError: The image is not uint8, or does not have three channels.
        """
        images.check_pictures(image=image)
        image = self._change_pixels(image, changes, None)
        if self._has_cuts:
            image = cuts.paint_over(image, changes.cuts_yxyx, FILL_GREY)
        return warp.warp_image(image, changes.geometry, self.target_size_px)

    def apply_to_label_map(
        self, labels: LabelMap, changes: Changes, halvings: tf.Tensor | int = 0
    ) -> LabelMap:
        """Returns the label map that belongs to the picture from `apply`.

        Args:
          labels: [H, W] uint8 each, of the picture before it was shrunk.
          changes: For the picture after that.
          halvings: [] int32, from `halvings`; 0 if it was not shrunk.

        Returns:
          [*target_size_px] uint8 each, static shape; 255 outside the picture and where
          it is painted over.

        Raises:
          ValueError: Class ids or confidences are not uint8.
        """
        images.check_bytes(**labels._asdict())
        factor = shrinking.factor(halvings)
        planes = tf.stack(labels, axis=-1)
        size = tf.shape(planes)[:2]
        if self._has_cuts:
            cuts_yxyx = boxes.clip_to_window(
                changes.cuts_yxyx * factor, tf.cast(size, tf.float32)
            )
            planes = cuts.paint_over(planes, cuts_yxyx, FILL_LABEL)
        shown = geometry.before_shrinking(changes.geometry, factor, size)
        planes = warp.warp_label_map(planes, shown, self.target_size_px)
        return LabelMap(*tf.unstack(planes, axis=-1))

    def apply_to_boxes(self, labels: Boxes, changes: Changes) -> Boxes:
        """Returns the visible parts of the boxes, in pixels of the network's input.

        Args:
          labels: [N, ...] in pixels of the picture.
          changes: For this picture.
        """
        return moved_boxes.move_labels(
            labels,
            changes.geometry,
            self.target_size_px,
            min_visible_share=self.min_visible_share,
            cuts_yxyx=changes.cuts_yxyx if self._has_cuts else None,
        )

    def to_canvas(
        self, image: tf.Tensor, changes: Changes, num_boxes: int
    ) -> tuple[tf.Tensor, Changes]:
        """Shows a whole picture, and returns the changes still to be made to it.

        The canvas has the size of the network's input. A picture that is larger is
        shrunk to it, so where the policy enlarges it again, details are lost.

        Args:
          image: [H, W, 3] uint8.
          changes: For this picture.
          num_boxes: N of the contents of boxes, after padding.

        Returns:
          [*target_size_px, 3] uint8, and the changes in its pixels; static shapes.

        Raises:
          ValueError: As for `apply`.
        """
        images.check_pictures(image=image)
        shown = geometry.fit(tf.shape(image)[:2], self.target_size_px)
        scale = tf.linalg.diag_part(shown.matrix[:, :2])
        twice = tf.concat([scale, scale], 0)
        changes = changes._replace(
            cuts_yxyx=tf.round(changes.cuts_yxyx * twice),
            geometry=changes.geometry._replace(
                matrix=geometry.compose(
                    changes.geometry.matrix, geometry.inverse(shown.matrix)
                )
            ),
            window_yxyx=shown.target_yxyx,
        )
        if changes.contents:
            is_length = changes_lib.is_one_of(changes.operations, changes_lib.LENGTHS)
            scaled = box_contents.scaled(
                changes.contents, scale, is_length[: self.menu.slots]
            )
            changes = changes._replace(contents=box_contents.padded(scaled, num_boxes))
        return warp.warp_image(image, shown, self.target_size_px), changes

    def apply_to_canvases(self, images: tf.Tensor, changes: Changes) -> tf.Tensor:
        """Returns the network's inputs for canvases; compiles with XLA.

        Args:
          images: [B, *target_size_px, 3] uint8.
          changes: From `to_canvas`, [B, ...] each; () if nothing is left to do.

        Returns:
          [B, *target_size_px, 3] uint8.
        """
        if not changes:
            return images
        # One after the other: each image gets its own operations and no others.
        return tf.map_fn(
            lambda one: self._apply_to_canvas(*one),
            (images, changes),
            fn_output_signature=tf.TensorSpec([*self.target_size_px, 3], tf.uint8),
        )

    def _apply_to_canvas(self, image: tf.Tensor, changes: Changes) -> tf.Tensor:
        image = self._change_pixels(image, changes, changes.window_yxyx)
        if self._has_cuts:
            image = canvas.paint_over(image, changes.cuts_yxyx, fill=FILL_GREY)
        return canvas.warp(
            image,
            changes.geometry.matrix,
            changes.window_yxyx,
            self.target_size_px,
            fill=FILL_GREY,
        )

    def _sample_map(self, size_px: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        flips = {"flip_probability": self.flip_probability}
        if self.crop:
            return crops.crop_map(
                size_px, self.target_size_px, seed, self.crop, **flips
            )
        return geometry.jitter_map(
            size_px,
            self.target_size_px,
            seed,
            scale_min=self.scale_min,
            scale_max=self.scale_max,
            **flips,
        )

    @property
    def _has_cuts(self) -> bool:
        return not self.menu.operations.isdisjoint(operations.CUTS)

    def _change_pixels(self, image, changes: Changes, window_yxyx) -> tf.Tensor:
        known = pixels.AUTHORS_OPERATIONS if self.authors_quirks else pixels.OPERATIONS
        names = [n for n in operations.NAMES if n in self.menu.operations]
        names = [n for n in names if n in known or n in operations.BOX_CONTENTS]
        branch_of = tf.constant(
            [names.index(n) + 1 if n in names else 0 for n in operations.NAMES]
        )

        def do(name, image, k):
            if name in known:
                return known[name](image, changes.arguments[k], window_yxyx)
            contents = tf.nest.map_structure(lambda field: field[k], changes.contents)
            is_on_canvas = window_yxyx is not None
            return box_contents.change(image, name, contents, on_canvas=is_on_canvas)

        # A picture can be of any size; its channels are three.
        shape = image.shape
        for k in range(self.menu.slots if names else 0):
            todo = [functools.partial(tf.identity, image)]
            todo += [functools.partial(do, name, image, k) for name in names]
            branch = tf.gather(branch_of, changes.operations[k])
            image = tf.ensure_shape(tf.switch_case(branch, todo), shape)
        if self.color_strength:
            for k, name in enumerate(changes_lib.COLOR_JITTER, self.menu.slots):
                image = tf.ensure_shape(do(name, image, k), shape)
        return image


def from_policy(
    policy: Policy,
    target_size_px: tuple[int, int],
    *,
    flip_probability: float = 0.5,
    layers: int = policies.LAYERS,
    magnitude: float = policies.MAGNITUDE,
) -> Augmentation:
    """Returns the augmentation of a policy, such as `policies.DETECTION["S4"]`.

    Args:
      policy: Of the paper, or of your own.
      target_size_px: Height and width of the network's input.
      flip_probability: Left to right, in [0, 1]; 0 for text, digits and arrows.
      layers: Of RandAugment: operations per picture.
      magnitude: Of RandAugment, from 0 to 10.

    Raises:
      ValueError: There are no such operations.
    """
    return Augmentation(
        target_size_px=target_size_px,
        scale_min=policy.scale_min,
        scale_max=policy.scale_max,
        flip_probability=flip_probability,
        menu=policies.menu(policy.operations, layers=layers, magnitude=magnitude),
        crop=policy.crop,
    )
