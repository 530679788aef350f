"""Fresh seeds after each restore: an image is the same bytes each time, its randomness must not be."""

import gc
import os
import random
import sys

# Generators made while the image was: each holds state that every restored session would share.
_generators = []
_numpy_legacy = []


def find():
    """Notes every seeded generator that is alive. Called just before the image is taken."""
    numpy_random = sys.modules.get("numpy.random")
    for thing in gc.get_objects():
        if isinstance(thing, random.Random) and not isinstance(thing, random.SystemRandom):
            _generators.append(thing)
        elif numpy_random and isinstance(thing, numpy_random.RandomState):
            _numpy_legacy.append(thing)
    if random._inst not in _generators:
        _generators.append(random._inst)
    if numpy_random and numpy_random.mtrand._rand not in _numpy_legacy:
        _numpy_legacy.append(numpy_random.mtrand._rand)
    tempfile = sys.modules.get("tempfile")
    if tempfile:
        tempfile._name_sequence = None


def reseed():
    """Seeds them from the host's randomness, which `--seed` fixes."""
    for generator in _generators:
        # Every seed has the same length, and so costs the same fuel.
        generator.seed(int.from_bytes(os.urandom(31) + b"\x80", "little"))
    for state in _numpy_legacy:
        # One word, as `numpy.random.seed(n)` takes: a longer seed costs eight times as much, on
        # every fresh run, and code that cares uses `default_rng()`, which asks the host for 128
        # bits. The two highest bits are fixed, so that every seed costs the same fuel.
        bits = int.from_bytes(os.urandom(4) + b"\1", "little")
        state.seed(bits & 0x3FFF_FFFF | 1 << 31)
