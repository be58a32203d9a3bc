"""ResNets, as tf-models-official builds them."""

import tensorflow as tf


def resnet(
    depth: int,
    image_size_px: tuple[int, int],
    *,
    activation: str = "relu",
    batch_norm_momentum: float = 0.997,
    batch_norm_epsilon: float = 1e-4,
    sync_batch_norm: bool = False,
) -> tf.keras.Model:
    """Returns a model from [B, H, W, 3] images to features of levels 2 to 5.

    Args:
      depth: 18, 34, 50, 101, 152 or 200 layers.
      image_size_px: Height and width.
      activation: Name of a Keras activation.
      batch_norm_momentum: Share of the old statistics that is kept per step.
      batch_norm_epsilon: Added to the variance.
      sync_batch_norm: Whether replicas share their statistics.

    Returns:
      Outputs `{"2": ..., "5": ...}`, [B, H / 2^l, W / 2^l, C] each.

    Source: He et al. 2015, arXiv:1512.03385.
    """
    from official.vision.modeling.backbones import resnet as garden

    return garden.ResNet(
        model_id=depth,
        input_specs=tf.keras.layers.InputSpec(shape=[None, *image_size_px, 3]),
        activation=activation,
        use_sync_bn=sync_batch_norm,
        norm_momentum=batch_norm_momentum,
        norm_epsilon=batch_norm_epsilon,
    )
