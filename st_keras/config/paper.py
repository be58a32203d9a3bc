"""What the paper set, to show where a config goes its own way.

Source: Zoph et al. 2020, arXiv:2006.06882, section 3, appendix B, and the configs of
its authors.
"""

from st_keras.config.schema import Config

# By task, then by setting: every value that a table of the paper was made with.
_OF_TASK = {
    "detection": {
        "learning_rate": (0.32,),
        "steps": (45_000, 120_000),  # Augment-S1 and S4, from random weights.
        "image_size_px": ((640, 640), (1280, 1280)),
    },
    "segmentation": {
        "learning_rate": (0.08, 0.2),  # EfficientNet-B7 and L2.
        "steps": (40_000, 20_000),
        "image_size_px": ((512, 512),),
    },
}
_IMAGES_PER_STEP = (256,)
# The weight of the pseudo loss is not stated for the main tables; 1 is the plain sum.
_OF_PSEUDO = {
    "images_per_step": _IMAGES_PER_STEP,
    "weight": (1.0,),
    "min_score": (0.5,),
    "decay": (0.9997,),
}


def differences(config: Config) -> list[tuple[str, str, str]]:
    """Returns (setting, value here, the paper's) for what the paper set otherwise."""
    of_task = _OF_TASK[config.task_name]
    rows = [
        ("human.images_per_step", config.human.images_per_step, _IMAGES_PER_STEP),
        (
            "optimization.learning_rate",
            config.optimization.learning_rate,
            of_task["learning_rate"],
        ),
        ("training.steps", config.training.steps, of_task["steps"]),
        (
            f"{config.task_name}.image_size_px",
            config.section.image_size_px,
            of_task["image_size_px"],
        ),
    ]
    if pseudo := config.pseudo:
        rows.append(
            ("pseudo.images_per_step", pseudo.images_per_step, _IMAGES_PER_STEP)
        )
        rows += [
            (f"pseudo.{name}", getattr(pseudo, name), values)
            for name, values in _OF_PSEUDO.items()
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
