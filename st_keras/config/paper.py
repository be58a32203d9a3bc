"""The paper's settings, to show where a config deviates from them.

Source: Zoph et al. 2020, arXiv:2006.06882, section 3 and appendix B. Learning rates of
SpineNet and of the segmenters are from the configs of its authors; numbers that these
lack are quoted second-hand.
"""

from st_keras.config.schema import Config

# By task, then by setting: every value that a table of the paper was made with.
_OF_TASK = {
    "detection": {
        "images_per_step": (256,),
        "learning_rate": (0.32, 0.28, 0.3),  # EfficientNet-B7; SpineNet-143 and 190.
        # Augment-S1 and S4, from random weights; SpineNet-143 and 190.
        "steps": (45_000, 120_000, 231_500, 185_200),
        "image_size_px": ((640, 640), (1280, 1280)),
    },
    "segmentation": {
        "images_per_step": (256, 128),  # EfficientNet-B7 and L2, as below.
        "learning_rate": (0.08, 0.2),
        "steps": (40_000, 20_000),
        "image_size_px": ((512, 512),),
    },
}
# The weight of the pseudo loss is not stated for the main tables; 1 weighs both alike.
_OF_PSEUDO = {
    "weight": (1.0,),
    "min_score": (0.5,),
    "decay": (0.9997,),
}


def differences(config: Config) -> list[tuple[str, str, str]]:
    """Returns (setting, value here, the paper's) where the two differ.

    Nothing for tasks that only pre-train a backbone: the paper has no table of them.
    """
    of_task = _OF_TASK.get(config.task_name)
    if of_task is None:
        return []
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
