"""Names of the variables of EfficientNet in the authors' checkpoints."""

from st_keras.models.authors.numbering import NamePairs, number
from st_keras.models.backbones.efficientnet import SCALINGS, STAGES, round_repeats

_NORM = "tpu_batch_normalization"


def efficientnet_names(model_id: str, scope: str | None = None) -> NamePairs:
    """Pairs each layer of `backbones.efficientnet` with the authors' scope for it.

    Args:
      model_id: b0 to b7, or l2.
      scope: Prefix of the authors' names; None: `efficientnet-MODEL_ID`.
    """
    scope = f"efficientnet-{model_id}" if scope is None else scope
    yield "stem_conv", f"{scope}/stem/conv2d"
    yield "stem_norm", f"{scope}/stem/{_NORM}"
    index = 0
    for stage in STAGES:
        units = ["depthwise", "project"]
        if stage.expand > 1:
            units.insert(0, "expand")
        for _ in range(round_repeats(stage.repeats, SCALINGS[model_id].depth)):
            ours, theirs = f"block{index}", f"{scope}/blocks_{index}"
            convs = [f"{ours}_{unit}_conv" for unit in units if unit != "depthwise"]
            yield from number(convs, "conv2d", theirs)
            yield f"{ours}_depthwise_conv", f"{theirs}/depthwise_conv2d"
            yield from number([f"{ours}_{unit}_norm" for unit in units], _NORM, theirs)
            squeeze = [f"{ours}_se_reduce", f"{ours}_se_expand"]
            yield from number(squeeze, "conv2d", f"{theirs}/se")
            index += 1


def efficientnet_head_names(model_id: str, scope: str | None = None) -> NamePairs:
    """Pairs the layers of the classification head with the authors' scopes.

    The authors' detectors and segmenters have these variables too, unused.

    Args:
      model_id: b0 to b7, or l2.
      scope: Prefix of the authors' names; None: `efficientnet-MODEL_ID`.
    """
    scope = f"efficientnet-{model_id}" if scope is None else scope
    yield "top_conv", f"{scope}/head/conv2d"
    yield "top_norm", f"{scope}/head/{_NORM}"
    yield "predict", f"{scope}/head/dense"
