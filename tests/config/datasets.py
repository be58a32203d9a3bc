"""What records of the paper's data sets would say of themselves."""

from st_keras.data import dataset_info

COCO = dataset_info.Tally().info(
    source="coco",
    class_names=tuple(f"category {number}" for number in range(1, 91)),
    skipped={},
    content_sha256="",
    shards=[],
)
PASCAL = dataset_info.Tally().info(
    source="voc_segmentation",
    class_names=(),
    label_map_names=("background", *(f"class {number}" for number in range(20))),
    skipped={},
    content_sha256="",
    shards=[],
)
