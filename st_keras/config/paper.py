"""The paper's settings, to show where a config deviates from them.

Source: the authors' configs of SpineNet and of the segmenters; what these lack is
quoted second-hand (docs/deviations.md). Settings of which nothing is known, such as the
weight of the pseudo loss, are not compared.
"""

import itertools

from st_keras.config.schema import Config

_NAMES = ("images_per_step", "learning_rate", "steps", "image_size_px")
# By task, then by backbone: the values of `_NAMES`.
_OF_TASK = {
    "detection": {
        # Steps of Augment-S1 and S4, from random weights.
        "efficientnet_b7": ((256,), (0.32,), (45_000, 120_000), ((640, 640),)),
        "spinenet_143": ((256,), (0.28,), (231_500,), ((1280, 1280),)),
        "spinenet_190": ((256,), (0.3,), (185_200,), ((1280, 1280),)),
    },
    "segmentation": {
        # 40,000 second-hand; the authors' config of the same model has 20,000.
        "efficientnet_b7": ((256,), (0.08,), (40_000, 20_000), ((512, 512),)),
        # Of a teacher, and of each part of a student.
        "efficientnet_l2": ((256, 128), (0.2,), (20_000,), ((512, 512),)),
    },
}
_OF_PSEUDO = {"min_score": (0.5,), "decay": (0.9997,)}


def differences(config: Config) -> list[tuple[str, str, str]]:
    """Returns (setting, value here, the paper's) where the two differ.

    A backbone that the paper does not have is compared with all that it has. Nothing
    for tasks that only pre-train a backbone: the paper has no table of them.
    """
    of_backbones = _OF_TASK.get(config.task_name)
    if of_backbones is None:
        return []
    own = of_backbones.get(config.section.backbone)
    columns = zip(*([own] if own else of_backbones.values()), strict=True)
    of_task = {
        name: tuple(dict.fromkeys(itertools.chain(*column)))
        for name, column in zip(_NAMES, columns, strict=True)
    }
    values = {
        "human.images_per_step": config.human.images_per_step,
        "optimization.learning_rate": config.scaled_optimization.learning_rate,
        "training.steps": config.training.steps,
        f"{config.task_name}.image_size_px": config.section.image_size_px,
    }
    rows = [
        (name, value, of_task[name.split(".")[-1]]) for name, value in values.items()
    ]
    if pseudo := config.pseudo:
        of_pseudo = {"images_per_step": of_task["images_per_step"], **_OF_PSEUDO}
        rows += [
            (f"pseudo.{name}", getattr(pseudo, name), papers)
            for name, papers in of_pseudo.items()
        ]
    return [
        (name, _text(value), " or ".join(_text(v) for v in papers))
        for name, value, papers in rows
        if value not in papers
    ]


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return " x ".join(str(side) for side in value)
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"
