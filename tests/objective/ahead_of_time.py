"""Compiles what a step with impl="triton" launches, without a GPU: python ahead_of_time.py FOLDER

Steps run on CPU tensors with a recorder in place of each kernel, so that the types and constants of all launches are
known; then each is compiled for an A100 and an H100. Prints a line of JSON for each: of a thread, registers and bytes
of stack, where registers spill; of a block, bytes of shared memory.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.runtime.jit import JITFunction

from cplearn_solo.dictionary import pack_dictionary
from cplearn_solo.objective import PackedDictionary, tiles
from cplearn_solo.objective.spec import LossSpec
from cplearn_solo.objective.triton import kernels, products, sweeps

TYPES = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16", torch.int32: "i32", torch.int64: "i64"}
N, F, C = 64, 96, 4096
CUOBJDUMP = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"


class Recorder:
    """Takes the place of a kernel and keeps what it is launched with."""

    def __init__(self, kernel, launches):
        self.kernel, self.launches = kernel, launches

    def __getitem__(self, grid):
        return self.record

    def record(self, *args, **constants):
        options = {key: constants.pop(key) for key in ("num_warps", "num_stages") if key in constants}
        signature, aligned = {}, []
        for name, value in zip(self.kernel.arg_names, args):
            is_tensor = isinstance(value, torch.Tensor)
            signature[name] = "*" + TYPES[value.dtype] if is_tensor else {int: "i32", float: "fp32"}[type(value)]
            if is_tensor or value % 16 == 0:
                aligned.append((len(signature) - 1,))
        signature |= dict.fromkeys(constants, "constexpr")
        self.launches[str((self.kernel.__name__, signature, aligned, constants))] = (
            *(self.kernel, signature, constants, {index: [["tt.divisibility", 16]] for index in aligned}, options),
        )


def launches():
    """What steps in each precision and with each form of the prior's loss launch."""
    found = {}
    for module in (kernels, products):
        for name, kernel in vars(module).copy().items():
            if isinstance(kernel, JITFunction) and name != "_joined":  # which others call
                setattr(module, name, Recorder(kernel, found))
    tiles.has_units = lambda *_: True
    dictionary = PackedDictionary(pack_dictionary(F, C), F)
    for dtype, *forms in (
        (torch.float32, "reverse", "forward"),
        (torch.bfloat16, "reverse"),
        (torch.float16, "forward"),
    ):
        for prior_loss in forms:
            torch.set_float32_matmul_precision("highest" if prior_loss == "reverse" else "high")
            spec = LossSpec(
                *(dictionary, 1.0, 1.0, -1.0, prior_loss, [(0, 1)], N),
                needs_grad=True,
                kept_bytes=0,
                samples_shared=False,
            )
            sweeps.triton(torch.zeros(2, N, F, dtype=dtype), spec)
    return found.values()


def main(folder):
    for kernel, signature, constants, attributes, options in launches():
        for capability in (80, 90):
            source = ASTSource(kernel, signature, constexprs=constants, attrs=attributes)
            compiled = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)
            cubin = folder / "kernel.cubin"
            cubin.write_bytes(compiled.asm["cubin"])
            used = subprocess.run(
                [CUOBJDUMP, "--dump-resource-usage", cubin], capture_output=True, text=True, check=True
            )
            registers, stack = re.search(r"REG:(\d+) STACK:(\d+)", used.stdout).groups()
            line = {"kernel": kernel.__name__, "types": " ".join(signature.values()), "constants": str(constants)}
            line |= {"sm": capability, "registers": int(registers), "stack": int(stack)}
            print(json.dumps(line | {"shared": compiled.metadata.shared}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
