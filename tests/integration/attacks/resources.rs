//! Resource bombs: short code with a large demand for memory or time.

use codeact::sandbox::Outcome;

use super::{attack, is_stopped, survives};
use crate::support::{raised, shown};

#[test]
fn numbers_that_are_too_large_are_stopped() {
    is_stopped("10**10**8");
    is_stopped("import math; math.factorial(10**7)");
    is_stopped("pow(3, 10**8)");
    is_stopped(
        "import decimal; decimal.getcontext().prec = 10**6\nwhile True: decimal.Decimal(2).sqrt()",
    );
    let e = attack("str(10**10000)");
    raised(&e, "ValueError");
}

#[test]
fn regex_bombs_are_stopped() {
    is_stopped("import re; re.match(r'(a+)+$', 'a' * 60 + 'b')");
    is_stopped("import re; re.match(r'(a|aa)+$', 'a' * 100 + 'b')");
    is_stopped("import re; re.search(r'(.*)*x', 'y' * 100)");
    is_stopped("import re; re.match('(?:a|b)*' * 100 + 'c', 'ab' * 10000)");
}

#[test]
fn compression_bombs_hit_a_limit() {
    let e = attack(
        "import zlib; zlib.decompress(zlib.compress(bytes(10**8), 9))\nzlib.decompress(zlib.compress(bytes(10**8)), bufsize=2**31 - 1)",
    );
    assert_ne!(e.outcome, Outcome::Completed, "{}", shown(&e));
    let e = attack(
        "import io, zipfile
b = io.BytesIO()
with zipfile.ZipFile(b, 'w', zipfile.ZIP_DEFLATED) as z:
    for i in range(40): z.writestr(f'{i}', bytes(10**7))
zipfile.ZipFile(b).extractall('out')",
    );
    assert!(
        matches!(e.outcome, Outcome::Raised(_) | Outcome::TimedOut { .. }),
        "{}",
        shown(&e)
    );
}

#[test]
fn an_archive_with_parent_paths_extracts_below_its_target() {
    let out = survives(
        "import io, os, zipfile, tarfile
b = io.BytesIO()
with zipfile.ZipFile(b, 'w') as z: z.writestr('../../../etc/evil', 'x'); z.writestr('/abs', 'x')
zipfile.ZipFile(b).extractall('out')
print(sorted(os.listdir('/')))",
    );
    assert_eq!(out, "['dev', 'home', 'mnt', 'tmp', 'usr']\n");
}

#[test]
fn pickle_and_marshal_bombs_are_errors() {
    for code in [
        "import pickle; pickle.loads(b'\\x80\\x04\\x8e\\xff\\xff\\xff\\x7f\\x00\\x00\\x00\\x00x.')",
        "import pickle; pickle.loads(b'(' * 10**6)",
        "import pickle; pickle.loads(b'cos\\nabort\\n(tR.')",
        "import pickle; pickle.loads(b'\\x80\\x04r\\xff\\xff\\xff\\x7f.')",
        "import marshal; marshal.loads(b'[' + b'\\xff\\xff\\xff\\x7f')",
        "import marshal; marshal.loads(b's' + b'\\xff\\xff\\xff\\x7f')",
        "import marshal; marshal.loads(b'(\\x01\\x00\\x00\\x00' * 100000)",
    ] {
        let e = attack(code);
        assert!(
            matches!(e.outcome, Outcome::Raised(_) | Outcome::Trapped { .. }),
            "{code}: {}",
            shown(&e)
        );
    }
}

#[test]
fn xml_entity_expansion_hits_a_limit() {
    let e = attack(
        "import xml.etree.ElementTree as E
e = ''.join(f'<!ENTITY e{i} \"' + f'&e{i - 1};' * 10 + '\">' for i in range(1, 12))
E.fromstring(f'<!DOCTYPE x [<!ENTITY e0 \"lol\">{e}]><x>&e11;</x>')",
    );
    assert_ne!(e.outcome, Outcome::Completed, "{}", shown(&e));
}

#[test]
fn large_allocations_of_every_kind_are_errors() {
    for code in [
        "bytearray(10**9)",
        "[0] * 10**8",
        "' ' * 10**9",
        "list(range(10**8))",
        "'x'.ljust(10**9)",
        "(1).to_bytes(10**9, 'big')",
        "'{:1000000000}'.format(1)",
        "b''.join([bytes(10**6)] * 1000)",
        "import numpy as np; np.zeros(10**8); np.ones((20000, 20000))",
        "import array; array.array('d', bytes(8)) * 10**8",
        "import itertools; list(itertools.permutations(range(12)))",
        "import sqlite3; sqlite3.connect(':memory:').execute('select zeroblob(900000000)').fetchall()",
    ] {
        let e = attack(code);
        assert_ne!(e.outcome, Outcome::Completed, "{code}: {}", shown(&e));
        assert!(e.usage.peak_memory_bytes <= 200 << 20);
    }
}

#[test]
fn running_out_of_memory_in_a_handler_is_reported() {
    let e = attack(
        "class A:
    def __repr__(self): return 'x' * 10**9
A()",
    );
    raised(&e, "MemoryError");
    let e = attack("class E(Exception):\n    def __str__(self): return 'x' * 10**9\nraise E");
    assert!(matches!(e.outcome, Outcome::Raised(_)), "{}", shown(&e));
    let e = attack("kept_all = []\nwhile True: kept_all.append(bytearray(64))");
    assert!(
        matches!(e.outcome, Outcome::Raised(_) | Outcome::TimedOut { .. }),
        "{}",
        shown(&e)
    );
}

#[test]
fn files_that_fill_the_quota_are_an_error_and_stay_in_their_session() {
    let e = attack("f = open('big', 'wb')\nfor i in range(10): f.seek(i * 10**8); f.write(b'x')");
    raised(&e, "OSError");
}
