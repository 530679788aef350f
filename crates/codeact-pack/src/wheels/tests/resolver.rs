//! Selection of versions, with an index in memory.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::fetch::wanted;
use crate::pip::ClientError;
use crate::tests::Tiny;
use crate::wheels::builtin::BuiltinPackages;
use crate::wheels::metadata::Metadata;
use crate::wheels::resolver::{Fetched, Index, Resolution, Resolver, Unmet, Wanted};
use crate::wheels::syntax::{Dependency, Environment, Source, Version};
use crate::{Manifest, PackError};

/// Calls after which a search fails, like the limit of runs of a client.
const MAX_CALLS: usize = 200;

/// Dependencies of each version of each package that has a pure wheel.
#[derive(Debug, Default, Clone)]
struct MemoryIndex {
    packages: BTreeMap<String, Vec<(String, Vec<String>)>>,
    calls: usize,
}

impl MemoryIndex {
    fn add(&mut self, name: &str, version: &str, requires: &[&str]) {
        let requires = requires.iter().map(|&text| text.to_owned()).collect();
        let versions = self.packages.entry(name.to_owned()).or_default();
        versions.push((version.to_owned(), requires));
    }

    fn list(&self, name: &str) -> Vec<Version> {
        let versions = self.packages.get(name).into_iter().flatten();
        let versions = versions.filter_map(|(version, _)| Version::parse(version));
        versions.collect()
    }

    fn resolve(&mut self, texts: &[&str]) -> Result<Resolution, PackError> {
        static MANIFEST: LazyLock<Manifest> = LazyLock::new(|| Tiny::default().home().manifest);
        let builtin = BuiltinPackages::new(&MANIFEST).unwrap();
        let requirements = wanted(texts);
        let result = Resolver::new(self, &builtin, &requirements).resolve();
        result.map_err(|error| match error {
            ClientError::Final(error) => *error,
            ClientError::Failed(run) => panic!("{run:?}"),
        })
    }

    fn selected(&mut self, texts: &[&str]) -> Vec<String> {
        let resolution = self.resolve(texts).unwrap();
        names(&resolution)
    }
}

fn names(resolution: &Resolution) -> Vec<String> {
    let packages = resolution.packages.iter();
    packages
        .map(|p| format!("{}=={}", p.name, p.version))
        .collect()
}

impl Index for MemoryIndex {
    fn fetch(&mut self, wanted: &[Wanted]) -> Result<Fetched, ClientError> {
        self.calls += 1;
        if self.calls > MAX_CALLS {
            return Err(PackError::Cancelled.into());
        }
        let mut all = Vec::new();
        for Wanted { name, versions } in wanted {
            let mut fitting = self.list(name);
            fitting.retain(|version| versions.contains(version));
            let Some(newest) = fitting.into_iter().max() else {
                return Ok(Fetched::NoMatch {
                    name: name.clone(),
                    versions: self.list(name),
                });
            };
            let newest = newest.to_string();
            let found = self.packages[name].iter().find(|(v, _)| *v == newest);
            all.push(Metadata {
                name: name.clone(),
                version: newest.clone(),
                requires: found.unwrap().1.clone(),
            });
        }
        Ok(Fetched::All(all))
    }

    fn versions(&mut self, name: &str) -> Result<Vec<Version>, ClientError> {
        self.calls += 1;
        Ok(self.list(name))
    }

    fn explain(&mut self, unmet: &Unmet) -> Result<PackError, ClientError> {
        Ok(PackError::NeedsCompiledCode {
            name: unmet.name.clone(),
            required_by: Some(unmet.chain.join(" -> ")),
            instead: None,
        })
    }

    fn status(&mut self, _: String) {}
}

#[test]
fn dependencies_are_walked_and_those_for_other_systems_are_not() {
    let mut index = MemoryIndex::default();
    index.add(
        "app",
        "1.0",
        &[
            "mid (>=1,<2)",
            "tiny",
            "windows; sys_platform == 'win32'",
            "old; python_version < '3.9'",
            "more; extra == 'all'",
        ],
    );
    index.add("mid", "1.5", &["leaf[x]"]);
    index.add("mid", "2.0", &["never"]);
    index.add("leaf", "3", &["inner; extra == 'x'", "other; extra == 'y'"]);
    index.add("inner", "1", &[]);
    index.add("more", "1", &[]);
    let all = ["app==1.0", "inner==1", "leaf==3", "mid==1.5"];
    assert_eq!(index.selected(&["app"]), all);
    assert!(
        index
            .selected(&["app[all]"])
            .contains(&"more==1".to_owned())
    );
}

#[test]
fn a_direct_reference_at_any_depth_is_an_error_that_names_the_chain() {
    let mut index = MemoryIndex::default();
    index.add("app", "1", &["mid"]);
    index.add(
        "mid",
        "1",
        &["evil[x] @ https://attacker.test/evil-1.tar.gz ; os_name == 'posix'"],
    );
    let error = index.resolve(&["app"]).unwrap_err();
    let PackError::DirectReference {
        name,
        address,
        chain,
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!(
        (&**name, &**address),
        ("evil", "https://attacker.test/evil-1.tar.gz")
    );
    assert_eq!(chain.join(" "), "app mid evil");
    // It does not count where its marker does not hold.
    index.add("app2", "1", &["evil @ file:///x ; sys_platform == 'win32'"]);
    index.add("app2", "0", &["evil @ file:///x ; extra == 'x'"]);
    assert_eq!(index.selected(&["app2"]), ["app2==1"]);
    index.resolve(&["app2[x]==0"]).unwrap_err();
}

#[test]
fn an_older_version_is_found_if_newer_ones_need_compiled_code() {
    let mut index = MemoryIndex::default();
    for minor in 0..100 {
        let requires: &[&str] = if minor < 17 { &[] } else { &["rpds"] };
        index.add("schema", &format!("4.{minor}"), requires);
    }
    index.add("chart", "6", &["schema>=3"]);
    let resolution = index.resolve(&["chart"]).unwrap();
    assert_eq!(names(&resolution), ["chart==6", "schema==4.16"]);
    let note =
        "schema 4.16 is used, because newer versions need rpds, which has no pure-Python wheel";
    assert_eq!(resolution.notes, [note]);
    // Bisection, and not one call for each version.
    assert!(index.calls < 25, "{}", index.calls);
    // What was asked for holds.
    let error = index.resolve(&["schema>=4.20"]).unwrap_err();
    assert!(
        matches!(error, PackError::NeedsCompiledCode { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("schema -> rpds"), "{error}");
}

#[test]
fn the_search_moves_up_to_the_package_that_asks_for_the_new_version() {
    let mut index = MemoryIndex::default();
    for minor in 0..40 {
        let needs = if minor < 25 { "model>=1" } else { "model>=2" };
        index.add("api", &format!("0.{minor}"), &[needs]);
    }
    for minor in 0..30 {
        index.add("model", &format!("1.{minor}"), &[]);
        index.add("model", &format!("2.{minor}"), &["core"]);
    }
    assert_eq!(index.selected(&["api"]), ["api==0.24", "model==1.29"]);
}

#[test]
fn two_dependents_get_a_version_that_both_accept_or_an_error_names_both() {
    let mut index = MemoryIndex::default();
    index.add("a", "2", &["x>=2"]);
    index.add("a", "1", &["x>=1"]);
    index.add("b", "1", &["x<2"]);
    index.add("x", "1.5", &[]);
    index.add("x", "2.5", &[]);
    assert_eq!(index.selected(&["a", "b"]), ["a==1", "b==1", "x==1.5"]);
    let error = index.resolve(&["a==2", "b"]).unwrap_err();
    let text = error.to_string();
    assert!(
        matches!(error, PackError::PackagesConflict { .. }),
        "{text}"
    );
    for part in ["a 2 needs x>=2", "b 1 needs x<2"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn an_upper_limit_below_the_packs_version_is_a_note_and_a_lower_limit_above_it_is_not() {
    let mut index = MemoryIndex::default();
    index.add("capped", "1", &["tiny<1"]);
    let resolution = index.resolve(&["capped"]).unwrap();
    assert_eq!(names(&resolution), ["capped==1"]);
    assert_eq!(
        resolution.notes,
        ["capped asks for tiny<1, and gets the pack's tiny 1"]
    );
    index.add("modern", "2", &["tiny>=2"]);
    index.add("modern", "1", &[]);
    let calls = index.calls;
    assert_eq!(index.selected(&["modern"]), ["modern==1"]);
    assert!(index.calls - calls < 5);
    let error = index.resolve(&["modern==2"]).unwrap_err();
    assert!(error.to_string().contains("the pack has tiny 1"), "{error}");
}

#[test]
fn a_dependency_that_cannot_be_parsed_is_an_error_or_rules_an_old_version_out() {
    let mut index = MemoryIndex::default();
    for odd in [
        "-e evil",
        "--index-url=http://x",
        "a b",
        "../x",
        "x; python_version",
        "x>=",
        "x[",
        "",
    ] {
        index.packages.clear();
        index.add("app", "1", &[odd]);
        let error = index.resolve(&["app"]).unwrap_err();
        assert!(
            matches!(error, PackError::BadWheel { .. }),
            "{odd}: {error}"
        );
    }
    index.packages.clear();
    index.add("app", "3", &["native"]);
    index.add("app", "2", &[]);
    index.add("app", "1", &["x>=1.0.*"]);
    assert_eq!(index.selected(&["app"]), ["app==2"]);
}

#[test]
fn a_wheel_that_cannot_be_used_does_not_block_older_versions() {
    let mut index = MemoryIndex::default();
    index.add("app", "1", &["lib"]);
    index.add("lib", "3", &["a b"]);
    index.add("lib", "2", &["x>="]);
    index.add("lib", "1", &[]);
    let resolution = index.resolve(&["app"]).unwrap();
    assert_eq!(names(&resolution), ["app==1", "lib==1"]);
    let note = "lib 1 is used, because the wheel of version 2 cannot be used";
    assert_eq!(resolution.notes, [note]);
    // A pinned version has no other one: the error is that of its wheel.
    let error = index.resolve(&["lib==3"]).unwrap_err().to_string();
    assert!(error.contains("lib 3") && error.contains("a b"), "{error}");
    // The search ends.
    for version in 10..40 {
        index.add("lib", &version.to_string(), &["a b"]);
    }
    let error = index.resolve(&["app"]).unwrap_err();
    assert!(matches!(error, PackError::BadWheel { .. }), "{error}");
}

#[test]
fn the_number_of_packages_is_bounded() {
    let mut index = MemoryIndex::default();
    let many: Vec<_> = (0..1000).map(|i| format!("p{i}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    index.add("app", "1", &many);
    let error = index.resolve(&["app"]).unwrap_err();
    assert!(
        matches!(error, PackError::TooManyPackages { .. }),
        "{error}"
    );
}

/// Returns an index with packages `p0` to `p5`, whose dependencies are among them and `none`, which has no wheel.
fn any_index() -> impl Strategy<Value = MemoryIndex> {
    let operator = prop::sample::select(vec!["", ">=", "<=", "==", "<", "!="]);
    let dependency = (0..7_usize, operator, 1..4_u8).prop_map(|(name, operator, version)| {
        let name = if name == 6 {
            "none".to_owned()
        } else {
            format!("p{name}")
        };
        match operator {
            "" => name,
            operator => format!("{name}{operator}{version}"),
        }
    });
    let version = prop::collection::vec(dependency, 0..3);
    prop::collection::vec(prop::collection::vec(version, 1..4), 6).prop_map(|packages| {
        let mut index = MemoryIndex::default();
        for (i, versions) in packages.iter().enumerate() {
            for (v, requires) in versions.iter().enumerate() {
                let requires: Vec<_> = requires.iter().map(String::as_str).collect();
                index.add(&format!("p{i}"), &(v + 1).to_string(), &requires);
            }
        }
        index
    })
}

proptest! {
    /// Each result is complete and consistent, and each search ends.
    #[test]
    fn a_selection_satisfies_all_dependencies(mut index in any_index()) {
        let Ok(resolution) = index.resolve(&["p0", "p1"]) else {
            return Ok(());
        };
        let environment = Environment::new("3.15.0");
        for package in &resolution.packages {
            for text in &package.requires {
                let dependency = Dependency::parse(text, &environment).unwrap();
                let found = resolution.packages.iter().find(|p| p.name == dependency.name);
                let version = found.and_then(|p| Version::parse(&p.version));
                let Source::Index(versions) = &dependency.source else {
                    unreachable!()
                };
                prop_assert!(version.is_some_and(|v| versions.contains(&v)), "{package:?} {text}");
            }
        }
    }
}
