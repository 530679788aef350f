"""`random.sample`, `choice` and `choices` of ranges with more elements than a 32-bit length can express.

They draw the same numbers as the originals do where lengths have 64 bits.
"""

import functools
import random
import sys


def _length(population):
    """Returns the length of a range that is too long for `len`, otherwise None."""
    if type(population) is not range:
        return None
    count = (population.stop - population.start + population.step - (population.step > 0 or -1)) // population.step
    return count if count > sys.maxsize else None


def install():
    """Replaces the methods of `random.Random`. Called before modules that take them as functions."""
    plain_choice, plain_choices, plain_sample = (
        getattr(random.Random, name) for name in ("choice", "choices", "sample")
    )

    @functools.wraps(plain_choice)
    def choice(self, seq):
        length = _length(seq)
        return plain_choice(self, seq) if length is None else seq[self._randbelow(length)]

    @functools.wraps(plain_choices)
    def choices(self, population, weights=None, *, cum_weights=None, k=1):
        length = None if weights or cum_weights else _length(population)
        if length is None:
            return plain_choices(self, population, weights, cum_weights=cum_weights, k=k)
        length += 0.0
        return [population[int(self.random() * length)] for _ in range(k)]

    @functools.wraps(plain_sample)
    def sample(self, population, k, *, counts=None):
        length = None if counts is not None or k > sys.maxsize // 8 else _length(population)
        if length is None:
            return plain_sample(self, population, k, counts=counts)
        if k < 0:
            raise ValueError("Sample larger than population or is negative")
        chosen = {}
        while len(chosen) < k:
            index = self._randbelow(length)
            if index not in chosen:
                chosen[index] = population[index]
        return list(chosen.values())

    for method in (choice, choices, sample):
        name = method.__name__
        setattr(random.Random, name, method)
        setattr(random, name, getattr(random._inst, name))
