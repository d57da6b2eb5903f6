#!/usr/bin/env python3
"""Writes a table of synsets as the development kit of ILSVRC2012 has it, for the tests of its reader.

    python3 scripts/golden/meta.py crates/in18-dataset/tests/data/meta.mat

Needs SciPy. Five rows of the kit's 1,860, with a field before, between and behind those that are read.
"""
import sys

import numpy
import scipy.io

FIELDS = [("ILSVRC2012_ID", "O"), ("words", "O"), ("WNID", "O"), ("num_children", "O")]
ROWS = [
    (1.0, "kit fox, Vulpes macrotis", "n02119789", 0),
    (numpy.uint8(2), "English setter", "n02100735", 0),
    (numpy.uint16(3), "Siberian husky", "n02110185", 0),
    (1000, "dumbbell", "n03255030", 0),
    (1001, "entity", "n00001740", 3),
]
table = numpy.array([[row] for row in ROWS], dtype=FIELDS)
scipy.io.savemat(sys.argv[1], {"synsets": table}, do_compression=True)
