"""Writes golden files: text that tests/support/golden.h reads.

A line "# …" is a comment. A tensor is a line "NAME RANK DIM …" and then its values, parted by blanks
or line breaks.
"""
import numpy as np


class GoldenFile:
    def __init__(self, path, words, digits=9):
        self.stream = open(path, "w")
        self.digits = digits
        for line in words.strip().splitlines():
            self.stream.write("# %s\n" % line.strip())

    def add(self, name, values):
        values = np.asarray(values)
        self.stream.write("%s %d %s\n" % (name, values.ndim, " ".join(map(str, values.shape))))
        flat = values.reshape(-1)
        texts = [self.text(value) for value in flat]
        for start in range(0, len(texts), 8):
            self.stream.write(" ".join(texts[start:start + 8]) + "\n")

    def text(self, value):
        return "%.*g" % (self.digits, float(value))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()
