//! numpy and pandas answer as in a native CPython on a 64-bit desktop: types, values and warnings.
//!
//! `scripts/numpy-differential` writes the expected answers.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use crate::support::exec;

/// Returns a file of `tests/numpy`.
fn read(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/numpy");
    fs::read_to_string(path.join(name)).unwrap()
}

/// Returns the lines `EXPRESSION<tab>ANSWER` of a text, without comments.
fn answers(text: &str) -> BTreeMap<&str, &str> {
    let lines = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| line.split_once('\t').unwrap()).collect()
}

#[test]
fn numpy_and_pandas_answer_as_on_a_desktop() {
    let (expected, listed) = (read("expected.txt"), read("differences.txt"));
    let (expected, listed) = (answers(&expected), answers(&listed));
    let mount = format!("{}/tests/numpy:/mnt/numpy", env!("CARGO_MANIFEST_DIR"));
    let done = exec()
        .args(["--max-output", "4M", "--mount", &mount])
        .code("import sys; sys.path.insert(0, '/mnt/numpy'); import describe; describe.main('/mnt/numpy/expressions.txt')")
        .run();
    let output = done.success().stdout;
    let found = answers(&output);
    let written = read("expressions.txt");
    let written = written
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    for expression in written {
        assert!(
            expected.contains_key(expression),
            "no expected answer: {expression}"
        );
    }
    assert_eq!(found.len(), expected.len());
    let mut wrong = Vec::new();
    for (expression, answer) in &found {
        let known = expected.get(expression);
        // A listed difference has to differ, so that the list stays true.
        let right = match listed.get(expression) {
            Some(difference) => difference == answer && known != Some(answer),
            None => known == Some(answer),
        };
        if !right {
            wrong.push(format!(
                "{expression}\n  {answer}\n  {}",
                known.unwrap_or(&"")
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn a_loop_in_place_warns_as_one_with_an_output_of_its_own() {
    let code = "
import warnings
import numpy as np

def warned(call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        call()
    return sorted(str(w.message).split(' encountered')[0] for w in caught)

rng = np.random.default_rng(1)
special = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e308, -1e308, 1e-308, 2.5]
for dtype in (np.float64, np.float32):
    for size in (1, 2, 15, 16, 17, 511, 512, 513, 1500):
        for step in (1, 2, -1):
            for ufunc in (np.add, np.subtract, np.multiply, np.divide, np.floor_divide, np.power, np.remainder):
                with np.errstate(all='ignore'):
                    a, b = (rng.choice(special, size * abs(step)).astype(dtype)[::step] for _ in 'ab')
                    if rng.random() < 0.5:
                        a[:] = 2
                for target in 'ab':
                    x, y = a.copy()[::1], b.copy()
                    apart = warned(lambda: ufunc(x, y))
                    with np.errstate(all='ignore'):
                        value = ufunc(x, y)
                    out = x if target == 'a' else y
                    assert warned(lambda: ufunc(x, y, out=out)) == apart, (ufunc, dtype, size, step, target)
                    assert np.array_equal(out, value, equal_nan=True)
            for ufunc in (np.sqrt, np.log, np.exp, np.reciprocal, np.square, np.arctanh):
                x = a.copy()
                apart = warned(lambda: ufunc(x))
                assert warned(lambda: ufunc(x, out=x)) == apart, (ufunc, dtype, size, step)
print('same')
";
    let done = exec().code(code).run();
    assert_eq!(done.success().stdout, "same\n");
}

#[test]
fn ufuncs_stay_ufuncs() {
    let code = "
import numpy as np
for name in ('add', 'divide', 'log', 'sqrt', 'power', 'exp'):
    assert type(getattr(np, name)) is np.ufunc
assert np.divide.outer([1.0], [2.0]).tolist() == [[0.5]]
out = np.full(2, 7.0)
np.divide([1.0, 2.0], [0.0, 2.0], out=out, where=[False, True])
assert out.tolist() == [7.0, 1.0]
counts = np.zeros(2)
np.add.at(counts, [0, 0, 1], 1.0)
assert counts.tolist() == [2.0, 1.0]
";
    exec().code(code).run().success();
}

#[test]
fn money_columns_are_exact() {
    let code = "
import io
import numpy as np
import pandas as pd
print(pd.read_csv(io.StringIO('a\\n3000000000'), dtype={'a': int})['a'][0])
print(pd.Series([10**12]).astype(int)[0])
print(pd.DataFrame({'revenue': [2.5e9, None]}).fillna(0).astype(int)['revenue'][0])
print(np.arange(1, 100001).sum(), (np.array([1, 2, 3]) * 3_000_000_000).sum())
frame = pd.DataFrame({'a': [1, 2], 'b': [3, 4]})
frame.insert(0, 'c', 5)
frame['d'] = frame.a * 10**10
print(frame.drop(columns='a').set_index('b').d.tolist(), frame.pop('c').tolist())
";
    let done = exec().code(code).run().success();
    let lines: Vec<&str> = done.stdout.lines().collect();
    assert_eq!(
        lines,
        [
            "3000000000",
            "1000000000000",
            "2500000000",
            "5000050000 18000000000",
            "[10000000000, 20000000000] [5, 5]",
        ]
    );
}

#[test]
fn libraries_get_the_indices_that_their_compiled_code_reads() {
    let code = "
import numpy as np
import scipy.sparse as sp
import scipy.stats as st
from sklearn.cluster import KMeans
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import LabelEncoder

x, y = np.arange(40).reshape(20, 2), np.array([0] * 10 + [1] * 10)
assert RandomForestClassifier(5, random_state=0).fit(x, y).score(x, y) == 1
assert KNeighborsClassifier(3).fit(x, y).score(x, y) == 1
assert KMeans(2, n_init=1, random_state=0).fit(x).labels_.shape == (20,)
assert LabelEncoder().fit_transform(['b', 'a', 'b']).tolist() == [1, 0, 1]
assert sp.csr_matrix((np.ones(3), (np.array([0, 1, 2]), np.argsort([3, 1, 2])))).toarray().sum() == 3
assert st.rankdata([3, 1, 2]).tolist() == [3, 1, 2]

from scipy.signal import find_peaks, peak_widths
from scipy.sparse.csgraph import reverse_cuthill_mckee, shortest_path
from sklearn.datasets import make_blobs, make_classification
from sklearn.utils.random import sample_without_replacement

wave = np.sin(np.linspace(0, 20, 200))
peaks, _ = find_peaks(wave)
assert peak_widths(wave, peaks)[0].shape == peak_widths(wave, peaks.tolist())[0].shape
graph = sp.csr_matrix(np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]]))
assert sorted(reverse_cuthill_mckee(graph).tolist()) == [0, 1, 2]
assert shortest_path(graph)[0, 2] == 2
assert make_classification(random_state=0)[0].shape == (100, 20) and make_blobs(random_state=0)[1].max() == 2
for method in ('auto', 'tracking_selection', 'reservoir_sampling', 'pool'):
    assert len(set(sample_without_replacement(10, 3, method=method, random_state=0))) == 3
";
    exec().code(code).run().success();
}

#[test]
fn functions_of_scipy_over_c_longs_accept_integers() {
    let code = "
import numpy as np
import scipy.special as sp

assert abs(sp.lambertw(1) - 0.5671432904097838) < 1e-15
assert abs(sp.spherical_jn(1, .5) - 0.1625370306360666) < 1e-14
assert abs(sp.spherical_in(np.arange(2), .5)[1] - 0.17087070843777) < 1e-12
assert abs(sp.hermite(3)(.5) + 5) < 1e-12 and abs(sp.hermitenorm(3)(.5) + 1.375) < 1e-12
";
    exec().code(code).run().success();
}

#[test]
fn the_legacy_generator_makes_int64() {
    let code = "
import copy, pickle
import numpy as np
from sklearn.utils import check_random_state

r = np.random.RandomState(42)
for a in r.binomial(100, .5, 3), r.multinomial(100, [.2, .8]), r.permutation(4), r.choice(5, 2):
    assert a.dtype == np.int64
assert (np.random.RandomState(42).binomial(100, .5, 3) * 50_000_000).tolist() == [2450000000, 2600000000, 2200000000]
assert isinstance(np.random.mtrand._rand, np.random.RandomState) and check_random_state(r) is r
assert pickle.loads(pickle.dumps(r)).rand() == copy.deepcopy(r).rand() == r.rand()
assert repr(r).startswith('RandomState(MT19937)')
";
    exec().code(code).run().success();
}
