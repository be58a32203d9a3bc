"""From the settings of augmentation to what does it; the same for every task."""

from st_keras.config import AugmentConfig
from st_keras.data.augment import policies
from st_keras.data.augment.augmentation import Augmentation
from st_keras.data.augment.policies import Policy


def build_augmentation(
    config: AugmentConfig,
    policy_of: dict[str, Policy],
    target_size_px: tuple[int, int],
) -> Augmentation:
    """Returns the named policy with what the config changes of it.

    Args:
      config: Empty settings are the policy's.
      policy_of: The policies of the task, by name.
      target_size_px: Height and width of the network's input.

    Raises:
      ValueError: The scale ends below where it starts.
    """
    policy = policy_of[config.policy]
    scale_min = policy.scale_min if config.scale_min is None else config.scale_min
    scale_max = policy.scale_max if config.scale_max is None else config.scale_max
    if scale_max < scale_min:
        raise ValueError(
            f"`augment.scale_max` must be at least `scale_min`, got {scale_max} and "
            f"{scale_min}; one that is not set is that of policy {config.policy}."
        )
    operations = policy.operations if config.operations is None else config.operations
    return Augmentation(
        target_size_px=target_size_px,
        scale_min=scale_min,
        scale_max=scale_max,
        flip_probability=config.flip_probability,
        menu=policies.menu(
            operations, layers=config.layers, magnitude=config.magnitude
        ),
        color_strength=config.color_strength,
        min_visible_share=config.min_visible_share,
        authors_quirks=config.authors_quirks,
    )
