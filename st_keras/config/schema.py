"""What can be set, with unit, default, range and source: the reference manual."""

import dataclasses
import math

_BACKBONES = ("tiny", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
_STRATEGIES = ("one_device", "mirrored", "multi_worker", "tpu")
_settings = dataclasses.dataclass(frozen=True, kw_only=True)


def _check(name: str, value: object, ok: bool, wanted: str) -> None:
    if not ok:
        raise ValueError(f"`{name}` must be {wanted}, got {value}.")


def _check_above_zero(settings: object, *names: str) -> None:
    for name in names:
        value = getattr(settings, name)
        _check(name, value, value > 0, "above 0")


def _check_not_negative(settings: object, *names: str) -> None:
    for name in names:
        value = getattr(settings, name)
        _check(name, value, value >= 0, "0 or more")


def _check_share(settings: object, *names: str) -> None:
    for name in names:
        value = getattr(settings, name)
        _check(name, value, 0.0 <= value <= 1.0, "in [0, 1]")


def _check_choice(settings: object, name: str, choices: tuple[str, ...]) -> None:
    value = getattr(settings, name)
    _check(name, repr(value), value in choices, f"one of {', '.join(choices)}")


@_settings
class AugmentConfig:
    """How a training image is changed. The defaults are the paper's Augment-S1."""

    scale_min: float = 0.8  # Jitter: size of the image against the network's input.
    scale_max: float = 1.2  # The scale is uniform between the two.
    flip_probability: float = 0.5  # Left to right. 0 for text, digits, arrows.
    color_strength: float = 0.0  # Brightness, contrast, saturation each 1 +- this.
    # A box of which the crop keeps less than this share is dropped: below about a
    # quarter, what is left rarely shows which class it was.
    min_visible_share: float = 0.25

    def __post_init__(self):
        _check_above_zero(self, "scale_min")
        _check(
            "scale_max",
            self.scale_max,
            self.scale_max >= self.scale_min,
            f"at least `scale_min` ({self.scale_min})",
        )
        _check_share(self, "flip_probability", "min_visible_share")
        _check(
            "color_strength",
            self.color_strength,
            0 <= self.color_strength < 1,
            "in [0, 1)",
        )


@_settings
class BoxHeadConfig:
    """The class and box towers on every pyramid level."""

    num_convs: int = 4
    num_filters: int = 256

    def __post_init__(self):
        _check_not_negative(self, "num_convs")
        _check_above_zero(self, "num_filters")


@_settings
class PostprocessConfig:
    """From raw outputs to detections; part of the protocol of every AP."""

    min_score: float = 0.05  # Detections under it are not kept at all.
    nms_iou: float = 0.5  # Two boxes of a class that overlap more: the weaker goes.
    max_detections: int = 100  # Per image. COCO counts no more than 100.

    def __post_init__(self):
        _check_share(self, "min_score", "nms_iou")
        _check_above_zero(self, "max_detections")


@_settings
class DetectionConfig:
    """A RetinaNet and how it is trained (reference: section 3 of the authors' code)."""

    # Empty: taken from dataset.json beside `human.records` when training starts.
    class_names: tuple[str, ...] = ()
    # Label in the records that class id 0 stands for. 0 adds a class `background`, as
    # the authors' checkpoints with their 91 logits have it.
    label_of_class_0: int = 1
    image_size_px: tuple[int, int] = (640, 640)  # Height, width of the network's input.
    backbone: str = "resnet50"
    min_level: int = 3  # Pyramid level l has a stride of 2^l pixels.
    max_level: int = 7
    fpn_filters: int = 256
    head: BoxHeadConfig = BoxHeadConfig()
    anchor_size: float = 4.0  # Smallest anchor of a level, in strides.
    anchor_scales: int = 3  # Per octave.
    aspect_ratios: tuple[float, ...] = (1.0, 2.0, 0.5)  # Width over height.
    positive_iou: float = 0.5  # Anchors at or above it learn the box they overlap.
    negative_iou: float = 0.5  # Under it: background. Between the two: ignored.
    focal_alpha: float = 0.25
    focal_gamma: float = 1.5
    huber_delta: float = 0.1  # In anchor sides.
    box_weight: float = 50.0  # Of the box term against the class term.
    batch_norm_momentum: float = 0.997
    batch_norm_epsilon: float = 1e-4
    activation: str = "relu"
    augment: AugmentConfig = AugmentConfig()
    postprocess: PostprocessConfig = PostprocessConfig()

    def __post_init__(self):
        _check_choice(self, "backbone", _BACKBONES)
        _check(
            "label_of_class_0",
            self.label_of_class_0,
            self.label_of_class_0 in (0, 1),
            "0 or 1",
        )
        _check_not_negative(self, "box_weight", "focal_gamma")
        _check_above_zero(
            self, "fpn_filters", "anchor_size", "anchor_scales", "huber_delta"
        )
        _check_above_zero(self, "batch_norm_epsilon")
        _check_share(
            self, "positive_iou", "negative_iou", "focal_alpha", "batch_norm_momentum"
        )
        _check(
            "negative_iou",
            self.negative_iou,
            self.negative_iou <= self.positive_iou,
            f"at most `positive_iou` ({self.positive_iou})",
        )
        _check("min_level", self.min_level, 2 <= self.min_level <= 5, "from 2 to 5")
        _check(
            "max_level",
            self.max_level,
            self.max_level >= self.min_level,
            f"at least `min_level` ({self.min_level})",
        )
        stride = 2**self.max_level
        for side in self.image_size_px:
            _check(
                "image_size_px",
                list(self.image_size_px),
                side > 0 and side % stride == 0,
                f"multiples of {stride} (2^max_level)",
            )
        _check(
            "aspect_ratios",
            self.aspect_ratios,
            all(r > 0 for r in self.aspect_ratios) and self.aspect_ratios,
            "numbers above 0",
        )


@_settings
class RecordsConfig:
    """Where examples come from."""

    records: str  # Glob of TFRecord shards; dataset.json lies beside them.
    ids: str = ""  # File of image ids, as tools/make_split.py writes; empty: all.
    images_per_step: int = 16  # Over all replicas.
    shuffle_buffer: int = 4096  # Encoded images held in memory for mixing.
    cache_mb: int = 2048  # Encoded images are kept in memory if they fit in this.

    def __post_init__(self):
        _check("records", repr(self.records), bool(self.records), "a glob of TFRecords")
        _check_above_zero(self, "images_per_step", "shuffle_buffer")
        _check_not_negative(self, "cache_mb")


@_settings
class PseudoConfig:
    """How a student listens to its teacher (arXiv:2006.06882, appendix B)."""

    records: str = ""  # Glob that tools/pseudo_label.py wrote; self_train.py fills it.
    images_per_step: int  # Over all replicas, besides the human-labelled ones.
    weight: float = 1.0  # Of the pseudo loss: alpha.
    min_score: float = 0.5  # Boxes under it are dropped, pixels under it ignored.
    normalize: bool = True  # Bring the pseudo loss to the scale of the human one.
    decay: float = 0.9997  # Of the moving averages of both losses.
    # Bound of mean_human / mean_pseudo. The paper states none (`.inf`); a student that
    # hardly has pseudo boxes would multiply their gradients without limit.
    max_ratio: float = 10.0
    shuffle_buffer: int = 4096
    cache_mb: int = 2048

    def __post_init__(self):
        _check_above_zero(self, "images_per_step", "max_ratio", "shuffle_buffer")
        _check_not_negative(self, "weight", "cache_mb")
        _check("min_score", self.min_score, 0.0 <= self.min_score < 1.0, "in [0, 1)")
        _check("decay", self.decay, 0.0 <= self.decay < 1.0, "in [0, 1)")


@_settings
class OptimizationConfig:
    """Optimizer and learning rate, built by tf-models-official."""

    optimizer: str = "sgd"  # sgd: momentum, L2 on kernels. adamw: decoupled decay.
    learning_rate: float = 0.08  # At the end of the warm-up.
    schedule: str = "cosine"  # cosine (to 0), step or constant.
    step_boundaries: tuple[int, ...] = ()  # Of `step`: steps at which...
    step_factor: float = 0.1  # ...the learning rate is multiplied by this.
    warmup_steps: int = 500
    warmup_learning_rate: float = 0.0067  # At step 0; rises linearly.
    momentum: float = 0.9  # sgd
    beta_2: float = 0.999  # adamw
    weight_decay: float = 1e-4  # On kernels only: no bias, no BatchNorm.
    clip_norm: float = 0.0  # Of the gradient over all replicas; 0 does not clip.
    ema_decay: float = 0.0  # Of the averaged weights that are evaluated; 0: none.

    def __post_init__(self):
        _check_choice(self, "optimizer", ("sgd", "adamw"))
        _check_choice(self, "schedule", ("cosine", "step", "constant"))
        _check_above_zero(self, "learning_rate", "step_factor")
        _check_not_negative(
            self, "warmup_steps", "warmup_learning_rate", "weight_decay", "clip_norm"
        )
        for name in ("momentum", "beta_2", "ema_decay"):
            value = getattr(self, name)
            _check(name, value, 0.0 <= value < 1.0, "in [0, 1)")
        rising = all(
            a < b
            for a, b in zip(
                self.step_boundaries, self.step_boundaries[1:], strict=False
            )
        )
        _check("step_boundaries", self.step_boundaries, rising, "rising steps")
        _check(
            "step_boundaries",
            self.step_boundaries,
            bool(self.step_boundaries) == (self.schedule == "step"),
            "given with `schedule: step` and only there",
        )


@_settings
class TrainingConfig:
    """How long, and what is written on the way."""

    steps: int
    steps_per_loop: int = 50  # Inside one tf.function call; logs come at its pace.
    checkpoint_every_steps: int = 500
    keep_checkpoints: int = 2
    pictures_every_steps: int = 0  # Training pictures to TensorBoard; 0: only first.

    def __post_init__(self):
        _check_above_zero(
            self,
            "steps",
            "steps_per_loop",
            "checkpoint_every_steps",
            "keep_checkpoints",
        )
        _check_not_negative(self, "pictures_every_steps")


@_settings
class EvaluationConfig:
    """On which examples, and how often, a model is judged."""

    records: str = ""  # Glob of TFRecords; empty: no evaluation while training.
    ids: str = ""
    images_per_step: int = 32
    every_steps: int = 0  # 0: only after the last step.

    def __post_init__(self):
        _check_above_zero(self, "images_per_step")
        _check_not_negative(self, "every_steps")


@_settings
class SelfTrainingConfig:
    """What tools/self_train.py needs besides the student's own settings."""

    unlabeled_records: str  # Images for the teacher to label. Labels in it are unread.
    unlabeled_ids: str = ""
    test_records: str = ""  # Looked at once, at the end; empty: `evaluation` is used.
    test_ids: str = ""
    teacher_steps: int = 0  # 0: as many as the student's `training.steps`.
    control: bool = True  # Also train on human labels for teacher + student steps.
    score_floor: float = 0.05  # Kept in the pseudo records, for later thresholds.
    student_init: str = "random"  # Or `teacher`: start from the teacher's weights.

    def __post_init__(self):
        _check(
            "unlabeled_records",
            repr(self.unlabeled_records),
            bool(self.unlabeled_records),
            "a glob of TFRecords",
        )
        _check_not_negative(self, "teacher_steps")
        _check_share(self, "score_floor")
        _check_choice(self, "student_init", ("random", "teacher"))


@_settings
class RuntimeConfig:
    """On what it runs."""

    strategy: str = "one_device"
    tpu: str = ""  # Name or address; `local` on a TPU VM.
    precision: str = "float32"  # Or mixed_bfloat16; losses stay float32.
    sync_batch_norm: bool = True  # Over replicas, when there is more than one.
    jit_compile: bool = False  # XLA; always on for TPUs. On a CPU it costs time.
    deterministic: bool = True  # Same seed, same numbers.

    def __post_init__(self):
        _check_choice(self, "strategy", _STRATEGIES)
        _check_choice(self, "precision", ("float32", "mixed_bfloat16"))
        _check(
            "tpu",
            repr(self.tpu),
            not self.tpu or self.strategy == "tpu",
            "empty unless `strategy` is tpu",
        )


@_settings
class ExpectConfig:
    """The number this config is known to reach; for `tools/evaluate.py --check`."""

    metric: str
    value: float
    tolerance: float

    def __post_init__(self):
        _check("value", self.value, math.isfinite(self.value), "finite")
        _check_above_zero(self, "tolerance")


@_settings
class Config:
    """One training run: a teacher, or with a `pseudo` part a student."""

    detection: DetectionConfig
    human: RecordsConfig
    pseudo: PseudoConfig | None = None
    optimization: OptimizationConfig = OptimizationConfig()
    training: TrainingConfig
    evaluation: EvaluationConfig = EvaluationConfig()
    self_training: SelfTrainingConfig | None = None
    runtime: RuntimeConfig = RuntimeConfig()
    expect: ExpectConfig | None = None
    seed: int = 0
    # Checkpoint whose model weights training starts from; empty: random.
    init_checkpoint: str = ""

    def __post_init__(self):
        _check("seed", self.seed, 0 <= self.seed < 2**31, "in [0, 2^31)")
        if self.pseudo and self.self_training:
            floor, min_score = self.self_training.score_floor, self.pseudo.min_score
            _check(
                "self_training.score_floor",
                floor,
                floor <= min_score,
                f"at most `pseudo.min_score` ({min_score}), or boxes in between are "
                "never written",
            )

    @property
    def role(self) -> str:
        """`student` if pseudo labels are learned from, `teacher` otherwise."""
        return "student" if self.pseudo else "teacher"
