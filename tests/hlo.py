"""Reads what has been lowered to HLO."""

from tensorflow.compiler.xla import xla_data_pb2
from tensorflow.compiler.xla.service import hlo_pb2

Shape = tuple[str, tuple[int, ...]]  # Dtype and sizes.


def arguments(hlo: bytes) -> tuple[list[Shape], int]:
    """Returns the dtype and shape of each argument, and how many are updated."""
    module = hlo_pb2.HloModuleProto.FromString(hlo)
    shapes = [
        (dtype_of(shape), tuple(shape.dimensions))
        for shape in module.host_program_shape.parameters
    ]
    return shapes, len(module.input_output_alias.entries)


def pictures(hlo: bytes) -> set[tuple[int, ...]]:
    """Returns the shapes of all arguments that are batches of pictures."""
    shapes, _ = arguments(hlo)
    return {s for dtype, s in shapes if dtype == "U8" and len(s) > 3 and s[-1] == 3}


def instructions(hlo: bytes, opcode: str) -> list[hlo_pb2.HloInstructionProto]:
    """Returns all instructions of a kind."""
    module = hlo_pb2.HloModuleProto.FromString(hlo)
    return [
        instruction
        for computation in module.computations
        for instruction in computation.instructions
        if instruction.opcode == opcode
    ]


def dtype_of(shape: xla_data_pb2.ShapeProto) -> str:
    """Returns the name of a shape's dtype."""
    return xla_data_pb2.PrimitiveType.Name(shape.element_type)
