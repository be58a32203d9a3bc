"""Compares what a run reaches with what its config expects."""

from st_keras.config import Config, ExpectConfig


def read_expectation(config: Config) -> ExpectConfig:
    """Returns the config's `expect` part.

    Raises:
      ValueError: There is none.
    """
    if config.expect is None:
        raise ValueError(
            "The config of the run has no `expect` part to check against; add one, "
            "such as `expect: {metric: AP, value: 60.0, tolerance: 2.0}`."
        )
    return config.expect


def check_metrics(metrics: dict, expect: ExpectConfig) -> str:
    """Returns a line that says how close the metric is to the expected value.

    Raises:
      ValueError: It is further away than the tolerance, or there is no such metric.
    """
    if not isinstance(metrics.get(expect.metric), float):  # Unlike `per_class`.
        known = ", ".join(n for n, v in metrics.items() if isinstance(v, float))
        raise ValueError(
            f"`expect.metric` must be one of {known}, got {expect.metric}."
        )
    got = metrics[expect.metric]
    wanted = f"{expect.value:g} +- {expect.tolerance:g}"
    if not abs(got - expect.value) <= expect.tolerance:
        raise ValueError(f"`{expect.metric}` must be {wanted}, got {got:.2f}.")
    return f"{expect.metric} is {got:.2f}, expected {wanted}: as it should be."
