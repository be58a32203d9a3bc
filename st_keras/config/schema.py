"""All settings, with unit, default, range and source: the reference manual."""

import math

from st_keras.config.calibration import CalibrationConfig
from st_keras.config.checks import (
    check,
    check_above_zero,
    check_choice,
    check_not_negative,
    settings,
)
from st_keras.config.classification import ClassificationConfig
from st_keras.config.detection import DetectionConfig
from st_keras.config.joint import JointConfig
from st_keras.config.optimization import OptimizationConfig
from st_keras.config.segmentation import SegmentationConfig
from st_keras.config.simclr import SimClrConfig
from st_keras.config.task import TaskConfig

_TASKS = ("detection", "segmentation", "classification", "simclr")
_WITHOUT_LABELS = ("simclr",)
_WITH_JOINT = ("detection", "segmentation")
_STRATEGIES = ("one_device", "mirrored", "multi_worker", "tpu")


@settings
class RecordsConfig:
    """Where examples come from."""

    records: str  # Glob of TFRecord shards; dataset.json lies beside them.
    ids: str = ""  # File of image ids, as tools/make_split.py writes; empty: all.
    images_per_step: int = 16  # Over all replicas.
    shuffle_buffer: int = 4096  # Encoded images held in memory for mixing.
    cache_mb: int = 2048  # Encoded images are kept in memory if they fit in this.

    def __post_init__(self):
        check("records", repr(self.records), bool(self.records), "a glob of TFRecords")
        check_above_zero(self, "images_per_step", "shuffle_buffer")
        check_not_negative(self, "cache_mb")


@settings
class PseudoConfig:
    """How a student listens to its teacher (arXiv:2006.06882, appendix B)."""

    # Glob of what tools/pseudo_label.py wrote or, with `online`, of any pictures;
    # tools/self_train.py fills it in.
    records: str = ""
    ids: str = ""  # File of image ids; empty: all.
    images_per_step: int  # Over all replicas, besides the human-labelled ones.
    # Labels come not from `records` but from the moving average of the student, at
    # every step (arXiv:1703.01780). In the paper, another model labels once.
    online: bool = False
    weight: float = 1.0  # Of the pseudo loss: alpha.
    min_score: float = 0.5  # Boxes under it are dropped, pixels under it ignored.
    thresholds: str = ""  # File of tools/calibrate.py: a min_score for each class.
    exclude: str = ""  # File of ids of pictures in `records` to leave out.
    # Whether each label that is left is weighted by its score, box by box or pixel by
    # pixel. The paper's labels are hard.
    soft: bool = False
    normalize: bool = True  # Bring the pseudo loss to the scale of the human one.
    decay: float = 0.9997  # Of the moving averages of both losses.
    # Upper bound of mean_human / mean_pseudo. The paper states none (`.inf`); with
    # hardly any pseudo boxes, their gradients would then be multiplied without limit.
    max_ratio: float = 10.0
    shuffle_buffer: int = 4096
    cache_mb: int = 2048

    def __post_init__(self):
        check_above_zero(self, "images_per_step", "max_ratio", "shuffle_buffer")
        check_not_negative(self, "weight", "cache_mb")
        check("min_score", self.min_score, 0.0 <= self.min_score < 1.0, "in [0, 1)")
        check("decay", self.decay, 0.0 <= self.decay < 1.0, "in [0, 1)")


@settings
class InitConfig:
    """Which weights a run starts from (arXiv:2006.06882, section 3)."""

    # random; imagenet: a classifier's backbone; imagenet++: one of Noisy Student;
    # simclr: one learned without labels, by a run of `simclr` or a published ResNet;
    # teacher: all weights of another run.
    kind: str = "random"
    checkpoint: str = ""  # The published file, or the workdir of a run.

    def __post_init__(self):
        kinds = ("random", "imagenet", "imagenet++", "simclr", "teacher")
        check_choice(self, "kind", kinds)
        check(
            "checkpoint",
            repr(self.checkpoint),
            bool(self.checkpoint) == (self.kind != "random"),
            "empty with `kind: random`"
            if self.kind == "random"
            else f"a file or a workdir with `kind: {self.kind}`",
        )


@settings
class TrainingConfig:
    """How long a run trains, and what it writes on the way."""

    steps: int
    steps_per_loop: int = 50  # Inside one tf.function call; logs come once per call.
    checkpoint_every_steps: int = 500
    keep_checkpoints: int = 2
    # Slices each replica splits its images into, with one update for all: for batches
    # that do not fit. Training is the same, but BatchNorm sees one slice at a time.
    accumulation_steps: int = 1
    # Recompute the inside of the backbone's blocks for the gradient instead of keeping
    # it: less memory for up to a third more work.
    rematerialize: bool = False
    pictures_every_steps: int = 0  # Training pictures to TensorBoard; 0: only first.
    # What to do about a step whose loss or gradient is not finite, besides saving all
    # of it in `debug/step_N` for tools/replay.py. abort: the run stops. skip: nothing
    # is learned from that step; at most 10 times in a run, 3 steps in a row. recover:
    # the run continues from its last checkpoint with other draws; at most 3 times.
    on_nonfinite: str = "abort"

    def __post_init__(self):
        check_choice(self, "on_nonfinite", ("abort", "skip", "recover"))
        check_above_zero(
            self,
            "steps",
            "steps_per_loop",
            "checkpoint_every_steps",
            "keep_checkpoints",
            "accumulation_steps",
        )
        check_not_negative(self, "pictures_every_steps")


@settings
class EvaluationConfig:
    """On which examples, and how often, a model is evaluated."""

    records: str = ""  # Glob of TFRecords; empty: no evaluation while training.
    ids: str = ""
    images_per_step: int = 32
    every_steps: int = 0  # 0: only after the last step.

    def __post_init__(self):
        check_above_zero(self, "images_per_step")
        check_not_negative(self, "every_steps")
        check(
            "ids",
            repr(self.ids),
            not self.ids or bool(self.records),
            "empty without `records`, the pictures that it chooses from",
        )


@settings
class SelfTrainingConfig:
    """What tools/self_train.py needs besides the student's own settings."""

    unlabeled_records: str  # Images for the teacher to label; their labels are unread.
    unlabeled_ids: str = ""
    test_records: str = ""  # Evaluated once, at the end; empty: `evaluation` is used.
    test_ids: str = ""
    teacher_steps: int = 0  # 0: as many as the student's `training.steps`.
    # Of teacher and control. 0: as many as the student's human and pseudo parts
    # together, so that a step costs the same in every run. The paper's teachers take
    # 256, mostly half of that.
    teacher_images_per_step: int = 0
    teacher_joint: bool = True  # Whether the teacher has the student's `joint` part.
    control: bool = True  # Also train on human labels for teacher + student steps.
    score_floor: float = 0.05  # Kept in the pseudo records, for later thresholds.
    # What the student starts from: `init`, as the teacher did, or the `teacher`.
    student_init: str = "init"
    # Chooses a `pseudo.min_score` for each class, after each model that labels.
    calibration: CalibrationConfig | None = None

    def __post_init__(self):
        check(
            "unlabeled_records",
            repr(self.unlabeled_records),
            bool(self.unlabeled_records),
            "a glob of TFRecords",
        )
        check_not_negative(self, "teacher_steps", "teacher_images_per_step")
        check(
            "test_ids",
            repr(self.test_ids),
            not self.test_ids or bool(self.test_records),
            "empty without `test_records`, the pictures that it chooses from",
        )
        floor = self.score_floor
        check("score_floor", floor, 0.0 <= floor < 1.0, "in [0, 1)")
        check_choice(self, "student_init", ("init", "teacher"))


@settings
class RuntimeConfig:
    """The devices and the arithmetic of a run."""

    strategy: str = "one_device"
    tpu: str = ""  # Name or address; `local` on a TPU VM.
    precision: str = "float32"  # Or mixed_bfloat16; losses stay float32.
    sync_batch_norm: bool = True  # Over replicas, when there is more than one.
    jit_compile: bool = False  # XLA; always on for TPUs. On a CPU it costs time.
    # Same seed, same numbers. On GPUs under XLA, this also needs
    # XLA_FLAGS=--xla_gpu_deterministic_ops=true.
    deterministic: bool = True

    def __post_init__(self):
        check_choice(self, "strategy", _STRATEGIES)
        check_choice(self, "precision", ("float32", "mixed_bfloat16"))
        check(
            "jit_compile",
            self.jit_compile,
            not (self.jit_compile and self.strategy == "multi_worker"),
            "false with `strategy: multi_worker`, which TensorFlow cannot compile",
        )
        check(
            "tpu",
            repr(self.tpu),
            not self.tpu or self.strategy == "tpu",
            "empty unless `strategy` is tpu",
        )

    @property
    def compiles_steps(self) -> bool:
        """Whether XLA compiles the step of a run."""
        return self.jit_compile or self.strategy == "tpu"

    @property
    def requests_xla(self) -> bool:
        """Whether the step asks for it, which a TPU's replicas need not."""
        return self.jit_compile and self.strategy != "tpu"


@settings
class ExpectConfig:
    """The number this config is known to reach; for `tools/evaluate.py --check`."""

    metric: str
    value: float
    tolerance: float

    def __post_init__(self):
        check("value", self.value, math.isfinite(self.value), "finite")
        check_above_zero(self, "tolerance")


@settings
class Config:
    """One training run: a teacher, or with a `pseudo` part a student."""

    # The task: one of these.
    detection: DetectionConfig | None = None
    segmentation: SegmentationConfig | None = None
    classification: ClassificationConfig | None = None
    simclr: SimClrConfig | None = None
    human: RecordsConfig
    pseudo: PseudoConfig | None = None
    joint: JointConfig | None = None
    init: InitConfig = InitConfig()
    optimization: OptimizationConfig = OptimizationConfig()
    training: TrainingConfig
    evaluation: EvaluationConfig = EvaluationConfig()
    self_training: SelfTrainingConfig | None = None
    runtime: RuntimeConfig = RuntimeConfig()
    expect: ExpectConfig | None = None
    seed: int = 0

    def __post_init__(self):
        self._check_task()
        check("seed", self.seed, 0 <= self.seed < 2**31, "in [0, 2^31)")
        self._check_backbone()
        self._check_labels()
        self._check_joint()
        self._check_online()
        self._check_accumulation()
        self._check_score_floor()

    def _check_task(self) -> None:
        given = [name for name in _TASKS if getattr(self, name) is not None]
        check(
            "` or `".join(_TASKS),
            " and ".join(given) or "none",
            len(given) == 1,
            "given, one of them",
        )

    def _check_backbone(self) -> None:
        # All published checkpoints of this kind are EfficientNets.
        is_plus = self.init.kind == "imagenet++"
        check(
            f"{self.task_name}.backbone",
            repr(self.section.backbone),
            not is_plus or self.section.backbone.startswith("efficientnet"),
            f"efficientnet... with `init.kind: {self.init.kind}`",
        )

    def _check_labels(self) -> None:
        for name in ("pseudo", "self_training"):
            is_given = getattr(self, name) is not None
            check(
                name,
                "one",
                not (is_given and self.task_name in _WITHOUT_LABELS),
                f"empty with `{self.task_name}`, which has no labels",
            )

    def _check_joint(self) -> None:
        if not self.joint:
            return
        check(
            "joint",
            "one",
            self.task_name in _WITH_JOINT,
            f"empty with `{self.task_name}`; it goes with a detector or segmenter",
        )
        self.joint.classifier(self.section)

    def _check_online(self) -> None:
        """Checks for an average that starts as a teacher, and no class thresholds."""
        if not (self.pseudo and self.pseudo.online):
            return
        decay, kind = self.optimization.ema_decay, self.init.kind
        check(
            "optimization.ema_decay",
            decay,
            decay > 0.0,
            "above 0 with `pseudo.online`, whose teacher is the average",
        )
        settings = self.self_training
        check(
            "self_training.student_init" if settings else "init.kind",
            repr(settings.student_init if settings else kind),
            (settings.student_init if settings else kind) == "teacher",
            "teacher with `pseudo.online`: random weights have nothing to teach",
        )
        is_calibrated = self.pseudo.thresholds or settings and settings.calibration
        check(
            "pseudo.online",
            True,
            not is_calibrated,
            "false with thresholds of each class, which are of one teacher's scores",
        )

    def _check_accumulation(self) -> None:
        check(
            "training.accumulation_steps",
            self.training.accumulation_steps,
            self.simclr is None or self.training.accumulation_steps == 1,
            "1 with `simclr`, whose loss compares all pictures of a step",
        )

    def _check_score_floor(self) -> None:
        if not (self.pseudo and self.self_training and self.detection):
            return
        floor, min_score = self.self_training.score_floor, self.pseudo.min_score
        check(
            "self_training.score_floor",
            floor,
            floor <= min_score,
            f"at most `pseudo.min_score` ({min_score}), or boxes in between are "
            "never written",
        )

    @property
    def task_name(self) -> str:
        """The task, by the name of its part of the config."""
        return next(name for name in _TASKS if getattr(self, name) is not None)

    @property
    def section(self) -> TaskConfig:
        """The part of the config that describes the task."""
        return getattr(self, self.task_name)

    @property
    def images_per_step(self) -> int:
        """Human and pseudo-labelled images of a step, over all replicas."""
        pseudo = self.pseudo.images_per_step if self.pseudo else 0
        return self.human.images_per_step + pseudo

    @property
    def scaled_optimization(self) -> OptimizationConfig:
        """`optimization`, its learning rates scaled to this run's images per step."""
        return self.optimization.for_images_per_step(self.images_per_step)

    @property
    def role(self) -> str:
        """`student` if the run learns from pseudo labels, `teacher` otherwise."""
        return "student" if self.pseudo else "teacher"
