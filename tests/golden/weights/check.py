"""Loads a file that tests/store/weights_write_test.c wrote and compares it with make.py's formula: python3 check.py FILE"""
import sys

import safetensors.torch
import torch

import make

path = sys.argv[1]
with open(path, "rb") as file:
    zipped = file.read(2) == b"PK"
state = torch.load(path, weights_only=True) if zipped else safetensors.torch.load_file(path)
wanted = {"b.weight": make.filled(0, (2, 3)), "a.bias": make.filled(1, (3,)), "c.empty": torch.zeros(0, 2),
          "b.num_batches_tracked": make.filled(2, (), torch.int64)}
assert set(state) == set(wanted), sorted(state)
for name, value in wanted.items():
    assert state[name].dtype == value.dtype and state[name].shape == value.shape, name
    assert torch.equal(state[name], value), name
