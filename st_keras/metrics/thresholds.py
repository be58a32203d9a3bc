"""The scores at which pseudo labels are measured."""

THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(1, 20))  # 0.05 to 0.95.
