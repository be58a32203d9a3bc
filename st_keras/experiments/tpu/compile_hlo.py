"""Compiles one HLO module for a TPU that is not there, and writes the outcome.

Runs by itself in the environment of pins.txt, which has JAX and no st_keras:

    python compile_hlo.py step.hlo found.json v3:2x2x1 chip_config_name=megacore

JAX has no public function that compiles a module from elsewhere, so this uses private
ones of the version that pins.txt names.
"""

import json
import os
import sys
import time

_NAMES = {  # Of the compiler's numbers: ours.
    "argument_size_in_bytes": "arguments",
    "output_size_in_bytes": "outputs",
    "alias_size_in_bytes": "aliased",
    "temp_size_in_bytes": "temporaries",
    "generated_code_size_in_bytes": "code",
}
_COSTS = {"flops": "flops", "bytes accessed": "bytes"}


def main(hlo_path: str, found_path: str, topology: str, *options: str) -> None:
    """Compiles a serialised HLO module and writes what is found as JSON.

    Args:
      hlo_path: The module.
      found_path: JSON file: whether it compiles, the error if not, seconds, bytes of
        memory by kind, and operations and bytes moved.
      topology: Name of a slice, as the compiler knows it: `v4:2x2x1`.
      *options: More about the slice, as `name=value`.
    """
    # Otherwise the compiler asks the metadata server of a TPU host, and waits for it.
    os.environ["TPU_SKIP_MDS_QUERY"] = "1"
    # No device is used, so several processes may compile at a time.
    os.environ["ALLOW_MULTIPLE_LIBTPU_LOAD"] = "1"
    os.environ["JAX_PLATFORMS"] = "cpu"
    found = {"compiles": False, "error": "", "memory_bytes": {}, "cost": {}}
    started = time.time()
    try:
        found |= _compile(hlo_path, topology, dict(o.split("=", 1) for o in options))
        found["compiles"] = True
    except Exception as error:  # Whatever it is, it is the answer.
        found["error"] = f"{type(error).__name__}: {error}"
    found["compile_seconds"] = round(time.time() - started, 1)
    with open(found_path, "w", encoding="utf-8") as file:
        json.dump(found, file)


def _compile(hlo_path: str, topology: str, more: dict[str, str]) -> dict:
    from jax._src import compiler, dispatch
    from jax._src.interpreters import mlir
    from jax._src.lib import _jax, xla_client
    from jax._src.lib.mlir import ir
    from jax.experimental import topologies

    slice_of_it = topologies.get_topology_desc(
        platform="tpu", topology_name=topology, **more
    )
    device = slice_of_it.devices[0]
    with open(hlo_path, "rb") as file:
        stablehlo = _jax.mlir.hlo_to_stablehlo(file.read())
    with mlir.make_ir_context():
        module = ir.Module.parse(stablehlo)
        _drop_copies(module, ir)
        options = compiler.get_compile_options(num_replicas=1, num_partitions=1)
        # A TPU takes no more than some 3300 parameters, and EfficientNet-L2 with its
        # optimizer has 3440: as in JAX, many are passed as a single tuple.
        main = next(op for op in module.body.operations if op.name.value == "main")
        options.parameter_is_tupled_arguments = dispatch.should_tuple_args(
            len(main.arguments), "tpu"
        )
        executable = device.client.compile(
            module,
            executable_devices=xla_client.DeviceList((device,)),
            compile_options=options,
        )
    stats = executable.get_compiled_memory_stats()
    cost = executable.cost_analysis()
    return {
        "device_kind": device.device_kind,
        "memory_bytes": {
            ours: getattr(stats, theirs) for theirs, ours in _NAMES.items()
        },
        "cost": {ours: cost[theirs] for theirs, ours in _COSTS.items()},
    }


def _drop_copies(module, ir) -> None:
    """Replaces each copy by what it copies, since StableHLO has no such operation.

    TensorFlow copies the variables it returns; the compiler does so itself where it
    must.
    """
    copies = []

    def see(operation):
        if operation.name == "mhlo.copy":
            copies.append(operation)
        return ir.WalkResult.ADVANCE

    module.operation.walk(see)
    for operation in copies:
        operation.results[0].replace_all_uses_with(operation.operands[0])
        operation.erase()


if __name__ == "__main__":
    main(*sys.argv[1:])
