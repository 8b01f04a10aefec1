"""Writes the golden weight files of this folder: python3 make.py [folder]. Needs torch and safetensors.

Element j of tensor number i is ((7 j + 3 i) mod 32 - 16) / 4: exact in every type that holds fractions; integers are
(7 j + 3 i) mod 32 - 16, bytes (7 j + 3 i) mod 32. tests/store/golden_weights.c knows the same formula.
Legacy files name their storages by addresses, so they differ from run to run; all others do not.
"""
import argparse
import collections
import os
import random
import sys
import zipfile

import safetensors.torch
import torch


def numbers(index, count):
    return [(7 * j + 3 * index) % 32 - 16 for j in range(count)]


def filled(index, shape, dtype=torch.float32):
    count = 1
    for size in shape:
        count *= size
    values = numbers(index, count)
    if dtype == torch.bool:
        values = [value > 0 for value in values]
    elif dtype == torch.uint8:
        values = [value + 16 for value in values]
    elif dtype.is_floating_point:
        values = [value / 4 for value in values]
    return torch.tensor(values, dtype=dtype).reshape(shape)


def all_types():
    state = collections.OrderedDict()
    state["module.f32"] = filled(0, (2, 3, 2, 2))
    state["module.f64"] = filled(1, (4,), torch.float64)
    state["module.f16"] = filled(2, (5,), torch.float16)
    state["module.bf16"] = filled(3, (3, 2), torch.bfloat16)
    state["module.i64"] = filled(4, (), torch.int64)
    state["module.i32"] = filled(5, (3,), torch.int32)
    state["module.i16"] = filled(6, (3,), torch.int16)
    state["module.i8"] = filled(7, (3,), torch.int8)
    state["module.u8"] = filled(8, (3,), torch.uint8)
    state["module.bool"] = filled(9, (4,), torch.bool)
    return state


def views():
    base = filled(0, (4, 6))
    row = filled(1, (3,))
    state = collections.OrderedDict()
    state["base"] = base
    state["transposed"] = base.t()
    state["sliced"] = base[1:3, 1::2]
    state["expanded"] = row.expand(2, 3)
    state["shared"] = base.view(24)
    state["empty"] = torch.zeros(0, 3)
    return state


def network():
    return torch.nn.Sequential(torch.nn.Conv2d(2, 2, 1, bias=False), torch.nn.BatchNorm2d(2))


def checkpoint():
    net = network()
    with torch.no_grad():
        for index, value in enumerate(net.state_dict().values()):
            value.copy_(filled(index, tuple(value.shape), value.dtype))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.5, momentum=0.5)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 4])
    net(torch.zeros(2, 2, 2, 2)).sum().backward()
    net[1].num_batches_tracked.fill_(12)
    net[1].running_mean.copy_(filled(3, (2,)))
    net[1].running_var.copy_(filled(4, (2,)))
    optimizer.step()
    return {
        "model": net.state_dict(),
        "optimizer": optimizer.state_dict(),
        "lr_scheduler": scheduler.state_dict(),
        "epoch": 3,
        "args": argparse.Namespace(lr=0.5, device="cpu", sets={1, 2}),
    }


def repack(path, method=zipfile.ZIP_STORED, change=lambda name, data: data, skip=(), extra=()):
    """A zip .pth once more, by another zip writer, with members changed."""
    with zipfile.ZipFile(path) as source:
        members = [(name, change(name, source.read(name))) for name in source.namelist()
                   if name.split("/", 1)[-1] not in skip]
    with zipfile.ZipFile(path, "w", method) as target:
        for name, data in members + list(extra):
            target.writestr(zipfile.ZipInfo(name), data, method)


def swapped(name, data):
    """Byte order of a state_dict of float32 only."""
    part = name.split("/", 1)[-1]
    if part == "byteorder":
        return b"big"
    if part.startswith("data/"):
        return b"".join(data[i:i + 4][::-1] for i in range(0, len(data), 4))
    return data


def main(folder):
    torch.manual_seed(0)
    random.seed(0)

    def path(name):
        return os.path.join(folder, name)

    torch.save(all_types(), path("zip_types.pth"))
    torch.save(views(), path("zip_views.pth"))
    torch.save(checkpoint(), path("zip_checkpoint.pth"))
    torch.save(all_types(), path("zip_protocol4.pth"), pickle_protocol=4)
    torch.save(network(), path("zip_module.pth"))
    torch.save({"weight": torch.nn.Parameter(filled(0, (2, 2)))}, path("zip_parameter.pth"))
    torch.save({"weight": torch.zeros(2, dtype=torch.complex64)}, path("zip_complex.pth"))
    torch.save({"weight": torch.eye(2).to_sparse()}, path("zip_sparse.pth"))
    torch.save({"epoch": 3, "note": "no weights"}, path("zip_no_weights.pth"))
    torch.save(views(), path("zip_deflated.pth"))
    repack(path("zip_deflated.pth"), zipfile.ZIP_DEFLATED)
    torch.save(views(), path("zip_big_endian.pth"))
    repack(path("zip_big_endian.pth"), change=swapped)
    torch.jit.save(torch.jit.script(torch.nn.ReLU()), path("script.pth"))
    torch.save(all_types(), path("legacy_types.pth"), _use_new_zipfile_serialization=False)
    torch.save(views(), path("legacy_views.pth"), _use_new_zipfile_serialization=False)
    torch.save(checkpoint(), path("legacy_checkpoint.pth"), _use_new_zipfile_serialization=False)
    torch.save(all_types(), path("legacy_protocol4.pth"), _use_new_zipfile_serialization=False,
               pickle_protocol=4)
    torch.save(torch.nn.Identity(), path("legacy_module.pth"), _use_new_zipfile_serialization=False)
    types = {name[len("module."):]: value for name, value in all_types().items()}
    safetensors.torch.save_file(types, path("types.safetensors"), {"format": "pt"})
    written = {"b.weight": filled(0, (2, 3)), "a.bias": filled(1, (3,)), "c.empty": torch.zeros(0, 2),
               "b.num_batches_tracked": filled(2, (), torch.int64)}
    safetensors.torch.save_file(written, path("written.safetensors"), {"epoch": "3"})


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__)))
