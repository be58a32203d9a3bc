"""Settings that tests of configs write to files."""

TEACHER = """
detection: {image_size_px: [128, 256], class_names: [ball, cup, kite]}
human: {records: "data/*.tfrecord", images_per_step: 6}
training: {steps: 30}
"""
