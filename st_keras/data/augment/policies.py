"""The paper's augmentations by their names.

| name     | scale jitter | operations             | source                            |
| -------- | ------------ | ---------------------- | --------------------------------- |
| S1       | 0.8 to 1.2   | none                   | paper: flip and crop              |
| S2       | 0.8 to 1.2   | AutoAugment            | paper; the authors' AutoAugment   |
| S3       | 0.5 to 2.0   | AutoAugment            | paper: stronger jitter            |
| S4       | 0.5 to 2.0   | RandAugment            | paper: magnitude 10               |
| spinenet | 0.1 to 1.9   | none                   | configs of SpineNet-143 and -190  |
| pascal   | 0.2 to 1.5   | none                   | configs of the PASCAL models      |

All of them flip left to right with probability 0.5 (a setting, since it harms letters
and digits) and crop to the network's input. The ranges of S1, S3 and S4 and the
magnitude are quoted second-hand. Which of AutoAugment's policies the paper used is not
published; v0 is that of the authors' own detection paper. RandAugment's two layers are
the default of the code it came from. For classifiers, a random part of the picture
replaces the jitter.
"""

import dataclasses

from st_keras.data.augment.auto_augment import AUTO_AUGMENT
from st_keras.data.augment.crops import Crop
from st_keras.data.augment.operations import Menu
from st_keras.data.augment.rand_augment import rand_augment

LAYERS = 2
MAGNITUDE = 10.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Policy:
    """How strongly training pictures are changed."""

    scale_min: float  # Size of the picture relative to the network's input.
    scale_max: float
    operations: str = "none"  # none, randaugment or a key of `AUTO_AUGMENT`.
    crop: Crop | None = None  # Replaces the two scales.


DETECTION = {
    "S1": Policy(scale_min=0.8, scale_max=1.2),
    "S2": Policy(scale_min=0.8, scale_max=1.2, operations="autoaugment_v0"),
    "S3": Policy(scale_min=0.5, scale_max=2.0, operations="autoaugment_v0"),
    "S4": Policy(scale_min=0.5, scale_max=2.0, operations="randaugment"),
    "spinenet": Policy(scale_min=0.1, scale_max=1.9),
    "pascal": Policy(scale_min=0.2, scale_max=1.5),
}
SEGMENTATION = DETECTION | {
    name: dataclasses.replace(DETECTION[name], operations="autoaugment_segmentation")
    for name in ("S2", "S3")
}
CLASSIFICATION = {
    name: dataclasses.replace(DETECTION[name], crop=Crop()) for name in ("S1", "S4")
}


def menu(operations: str, *, layers: int = LAYERS, magnitude: float = MAGNITUDE):
    """Returns the menu of a policy's operations.

    Args:
      operations: none, randaugment or a key of `AUTO_AUGMENT`.
      layers: Of RandAugment.
      magnitude: Of RandAugment, from 0 to 10.

    Raises:
      ValueError: There is no such menu.
    """
    known = {
        "none": Menu(),
        **AUTO_AUGMENT,
        "randaugment": rand_augment(layers, magnitude),
    }
    if operations not in known:
        raise ValueError(
            f"`operations` must be one of {', '.join(known)}; got {operations!r}."
        )
    return known[operations]
