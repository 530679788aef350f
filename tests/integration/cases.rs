//! The files of `tests/cases`, which the test target `cases` runs.

use crate::support::cases_dir;

#[test]
fn every_case_has_an_expected_output_and_every_output_has_a_case() {
    let mut cases = 0;
    for entry in std::fs::read_dir(cases_dir()).unwrap() {
        let path = entry.unwrap().path();
        let other = match path.extension().and_then(|e| e.to_str()) {
            Some("py") => path.with_extension("out"),
            Some("out") => path.with_extension("py"),
            _ => panic!("unexpected file {path:?}"),
        };
        assert!(other.exists(), "{path:?} has no {other:?}");
        cases += 1;
    }
    assert!(cases > 40, "cases are missing in {:?}", cases_dir());
}
