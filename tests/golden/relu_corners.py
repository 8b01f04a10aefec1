"""Whether gradients hang on relus at their corner.

An input of a relu that is within rounding of 0 is let through by one library and stopped by another, both rightly; in a deep
network one such turn can change a weight's gradient by a hundredth. `turned_relus` turns all of them at once, so that a step's
gradients with and without it bound what rounding may do.
"""
import contextlib

import torch
import torch.nn.functional as F

DOUBT = 2e-6  # over the root mean square of a relu's inputs: what float32 has lost after some fifty layers


class TurnedRelu(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(context, dy):
        x, = context.saved_tensors
        in_doubt = (x.abs() < DOUBT * x.square().mean().sqrt()) & (x != 0)
        return dy * ((x > 0) ^ in_doubt)


@contextlib.contextmanager
def turned_relus():
    """The slopes of relus in doubt are the other ones; what comes out of them stays."""
    plain = F.relu
    F.relu = lambda x, inplace=False: TurnedRelu.apply(x)
    try:
        yield
    finally:
        F.relu = plain
