"""New random seeds for each session: all sessions start from the same image."""

import gc
import os
import random
import sys

# The generators of the image. Without a new seed, all sessions would share their state.
_generators = []
_numpy_legacy = []


def find_generators():
    """Collects all seeded generators that exist. Called just before the image is taken."""
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
    """Seeds all generators from the host's random state, which a session can fix."""
    for generator in _generators:
        # All seeds have the same length, so that they cost the same fuel.
        generator.seed(int.from_bytes(os.urandom(31) + b"\x80", "little"))
    for state in _numpy_legacy:
        # One word, as in `numpy.random.seed(n)`: a longer seed costs eight times as much, in every
        # new session, and code that needs more uses `default_rng()`, which requests 128 bits from
        # the host. The two highest bits are fixed, so that all seeds cost the same fuel.
        bits = int.from_bytes(os.urandom(4) + b"\1", "little")
        state.seed(bits & 0x3FFF_FFFF | 1 << 31)
