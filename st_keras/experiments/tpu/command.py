"""What `tools/doctor.py --tpu` does: compiles, prints the page, keeps the rows."""

from st_keras.config import Config
from st_keras.experiments.tpu import chips, environment, examine, page, results
from st_keras.runtime import run_log


def run(
    config: Config, name: str, tpu: str, *, step: str, minutes: float, path: str | None
) -> bool:
    """Compiles a config's step for a TPU; returns whether anything is known to fit.

    Args:
      config: Of any run.
      name: Of the config, with its overrides.
      tpu: A kind, as `v3`, or a slice, as `v3-32`.
      step: One of `lowering.STEPS`.
      minutes: For each compilation.
      path: JSON file that the rows are added to; None: none.

    Raises:
      ValueError: There is no such TPU, or the config cannot be compiled for it.
      OSError: The compiler is not available.
    """
    chip, replicas = chips.parse(tpu)
    known = results.read(path) if path else []

    def keep(row: results.Row) -> None:
        nonlocal known
        known = results.merged(known, [row])
        if path:
            run_log.write_json(path, results.to_json(known))

    environment.python()  # Before minutes are spent on a model.
    rows = examine.examine(
        config,
        name,
        chip,
        replicas=replicas,
        step=step,
        timeout_seconds=60.0 * minutes,
        keep=keep,
    )
    print(page.format_page(rows))
    return any(row.compiled.verdict == "fits" for row in rows)
