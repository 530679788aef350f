//! Random numbers from ranges beyond 32 bits.

use crate::support::exec;

#[test]
fn samples_of_long_ranges_are_those_of_64_bit_platforms() {
    // The numbers are those of a native CPython with the same seed.
    let code = "
import random, secrets
random.seed(5)
long = range(10**9, 10**10)
print(random.choice(long), random.sample(long, 3), random.choices(range(10**10, 0, -3), k=2), random.random())
assert random.sample(range(5), 5, counts=None) and random.choice(range(3)) < 3
assert secrets.choice(range(10**12)) < 10**12 and random.SystemRandom().sample(range(10**12), 2)
for call in (lambda: random.sample(long, -1), lambda: random.sample(range(3), 4)):
    try: call()
    except ValueError: pass
    else: raise AssertionError
try: random.choice(range(0))
except IndexError: pass
";
    let done = exec().code(code).run().success();
    assert_eq!(
        done.stdout,
        "7970309701 [8480918169, 5051686260, 3787324501] [990995083, 8867940355] 0.46906904778216374\n"
    );
}
