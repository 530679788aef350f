//! Resolution, download and cache, with clients that are shell scripts.

use std::fs;
use std::thread;

use super::wheel_with;
use crate::PackError;
use crate::tests::clients::{calls, fake};
use crate::tests::{Home, Tiny, event_recorder, names_in};
use crate::{Requirement, Site};

/// Returns a home with a client. Its index has `thing` 1.0, which depends on `other` 2.0 and on the pack's own
/// package.
pub(super) fn home() -> Home {
    let home = Tiny::default().home();
    fs::create_dir(home.path("index")).unwrap();
    let add = |name: &str, version: &str, members: &[(&str, &[u8])]| {
        let path = home.path(&format!("index/{name}-{version}-py3-none-any.whl"));
        fs::write(path, wheel_with(name, version, members)).unwrap();
    };
    add(
        "thing",
        "1.0",
        &[
            ("thing/__init__.py", b"import other"),
            ("shared.py", b"thing"),
        ],
    );
    add(
        "other",
        "2.0",
        &[("other.py", b"x = 2"), ("shared.py", b"other's")],
    );
    report(
        &home,
        &[
            ("Thing", "1.0", "other>=1"),
            ("other", "2.0", ""),
            ("tiny", "1", ""),
        ],
    );
    client(&home, "", "", "");
    home
}

fn report(home: &Home, packages: &[(&str, &str, &str)]) {
    let one = |(name, version, needs): &(&str, &str, &str)| {
        let needs = if needs.is_empty() {
            String::new()
        } else {
            format!("\"{needs}\"")
        };
        format!(
            r#"{{"metadata": {{"name": "{name}", "version": "{version}", "requires_dist": [{needs}]}}}}"#
        )
    };
    let all: Vec<_> = packages.iter().map(one).collect();
    let text = format!(r#"{{"version": "1", "install": [{}]}}"#, all.join(","));
    fs::write(home.path("report.json"), text).unwrap();
}

/// Writes a client that succeeds, after the given lines of shell for each command of pip.
pub(super) fn client(home: &Home, install: &str, versions: &str, download: &str) {
    let body = format!(
        "case \"$all\" in\n\
         *'install --dry-run'*) {install}\ncp '{report}' report.json;;\n\
         *'index versions'*) {versions}\necho 'Available versions: 1.0, 0.9';;\n\
         *) {download}\nmkdir -p \"$dest\" && cp '{index}'/* \"$dest/\";;\nesac",
        report = home.path("report.json").display(),
        index = home.path("index").display(),
    );
    fake(home, "uv", &body);
}

pub(super) fn wanted(texts: &[&str]) -> Vec<Requirement> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

pub(super) fn packages(home: &Home, texts: &[&str]) -> Result<Site, PackError> {
    home.store().packages(&home.manifest, &wanted(texts), false)
}

fn offline(home: &Home, texts: &[&str]) -> Result<Site, PackError> {
    home.store().packages(&home.manifest, &wanted(texts), true)
}

pub(super) fn error_of(home: &Home, texts: &[&str]) -> PackError {
    let error = packages(home, texts).unwrap_err();
    let names = names_in(&cache(home));
    assert_eq!(names, [".lock"], "{error}");
    error
}

pub(super) fn cache(home: &Home) -> std::path::PathBuf {
    home.store().cache_dir(&home.manifest).join("packages")
}

/// Makes all resolutions older than a day.
fn age(home: &Home) {
    for name in names_in(&cache(home)) {
        if name.starts_with("resolution-") {
            let path = cache(home).join(name);
            let text = fs::read_to_string(&path).unwrap();
            let mut note: serde_json::Value = serde_json::from_str(&text).unwrap();
            note["time"] = (note["time"].as_u64().unwrap() - 24 * 60 * 60).into();
            fs::write(path, note.to_string()).unwrap();
        }
    }
}

#[test]
fn dependencies_are_included_and_packages_of_the_pack_are_not() {
    let home = home();
    let (events, seen) = event_recorder();
    let store = home.store_with_events(events);
    let site = store
        .packages(&home.manifest, &wanted(&["Thing"]), false)
        .unwrap();

    let names: Vec<_> = site
        .packages
        .iter()
        .map(|p| (&*p.name, &*p.version))
        .collect();
    assert_eq!(names, [("other", "2.0"), ("thing", "1.0")]);
    let paths: Vec<_> = site.files.iter().map(|f| &*f.path).collect();
    assert_eq!(
        paths,
        [
            "other-2.0.dist-info/METADATA",
            "other.py",
            "shared.py",
            "thing-1.0.dist-info/METADATA",
            "thing/__init__.py"
        ]
    );
    for file in &site.files {
        assert_eq!(fs::metadata(&file.host).unwrap().len(), file.len);
    }
    // The first wheel by name has priority.
    assert_eq!(fs::read(&site.files[2].host).unwrap(), b"other's");
    assert_eq!(seen.lock().unwrap().len(), 2);

    let calls = calls(&home);
    assert_eq!(calls.len(), 3, "{calls:?}");
    assert!(
        calls[0].starts_with("uv tool run pip install --dry-run "),
        "{}",
        calls[0]
    );
    assert!(calls[0].contains(" --python-version 3.15 ") && calls[0].ends_with(" -- thing"));
    assert!(calls[1].ends_with("pip index versions --ignore-requires-python -- thing"));
    assert!(
        calls[2].contains(" --no-deps --only-binary :all: "),
        "{}",
        calls[2]
    );
    assert!(
        calls[2].ends_with(" --dest wheels -- thing==1.0 other==2.0"),
        "{}",
        calls[2]
    );
    assert!(
        names_in(&cache(&home))
            .iter()
            .all(|name| !name.contains("tmp"))
    );
}

#[test]
fn pip_has_stubs_constraints_and_platforms() {
    let home = home();
    let look = "echo $(ls stubs) $(cat builtin.txt) ${PIP_PLATFORM%% *} >&2; exit 1";
    client(&home, look, "", "");
    let text = error_of(&home, &["thing"]).to_string();
    let stub = "tiny-1-999999999-cp315.py3-cp315.none-manylinux_2_60_x86_64.any.whl";
    assert!(
        text.contains(&format!("| {stub} tiny==1 manylinux_2_60_x86_64")),
        "{text}"
    );
}

#[test]
fn packages_of_the_pack_need_no_client() {
    let home = Tiny::default().home();
    for text in ["tiny", "Tiny==1", "tiny==1.0", "tiny[extra]"] {
        assert_eq!(packages(&home, &[text]).unwrap(), Site::default());
    }
    assert_eq!(packages(&home, &[]).unwrap(), Site::default());
    assert!(!home.path("cache").exists());
    let error = packages(&home, &["tiny==2"]).unwrap_err();
    assert!(matches!(error, PackError::BuiltInPackage { .. }), "{error}");
    assert!(error.to_string().contains("in version 1\n"), "{error}");
}

#[test]
fn a_resolution_expires_after_a_day_unless_it_is_pinned() {
    let home = home();
    let first = packages(&home, &["thing"]).unwrap();
    assert_eq!(packages(&home, &["thing", "Thing", "tiny"]).unwrap(), first);
    assert_eq!(calls(&home).len(), 3);
    age(&home);
    assert_eq!(offline(&home, &["thing"]).unwrap(), first);
    assert_eq!(calls(&home).len(), 3);
    assert_eq!(packages(&home, &["thing"]).unwrap(), first);
    assert_eq!(calls(&home).len(), 6);
    assert_eq!(packages(&home, &["thing"]).unwrap(), first);
    assert_eq!(calls(&home).len(), 6);

    let pinned = packages(&home, &["thing==1.0"]).unwrap();
    // A pinned requirement is not compared with the newest version.
    assert_eq!((pinned == first, calls(&home).len()), (true, 8));
    age(&home);
    assert_eq!(packages(&home, &["thing==1.0"]).unwrap(), first);
    assert_eq!(calls(&home).len(), 8);
}

#[test]
fn offline_mode_uses_the_cache_or_gives_advice() {
    let home = home();
    let error = offline(&home, &["thing"]).unwrap_err();
    assert!(
        matches!(error, PackError::PackagesOffline { .. }),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("run once with the same packages"),
        "{error}"
    );
    assert!(calls(&home).is_empty());
    let site = packages(&home, &["thing"]).unwrap();
    assert_eq!(offline(&home, &["thing"]).unwrap(), site);
    offline(&home, &["thing", "more"]).unwrap_err();
}

#[test]
fn a_damaged_wheel_is_downloaded_again() {
    let home = home();
    let site = packages(&home, &["thing"]).unwrap();
    fs::write(&site.files[1].host, b"cut").unwrap();
    offline(&home, &["thing"]).unwrap_err();
    assert_eq!(packages(&home, &["thing"]).unwrap(), site);
    assert_eq!(fs::read(&site.files[1].host).unwrap(), b"x = 2");
    let noted = cache(&home).join(format!("wheel-{}/wheel.json", site.packages[0].sha256));
    fs::write(noted, "{").unwrap();
    assert_eq!(packages(&home, &["thing"]).unwrap(), site);
    assert_eq!(calls(&home).len(), 9);
}

#[test]
fn concurrent_requests_download_once() {
    let home = home();
    thread::scope(|scope| {
        let ask = || packages(&home, &["thing"]).unwrap();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        let mut sites = threads.into_iter().map(|t| t.join().unwrap());
        let first = sites.next().unwrap();
        assert!(sites.all(|site| site == first));
    });
    assert_eq!(calls(&home).len(), 3);
}

#[test]
fn stale_folders_are_removed_and_removal_deletes_the_cache() {
    let home = home();
    packages(&home, &["thing"]).unwrap();
    fs::create_dir_all(cache(&home).join(".tmp-packages-dead/try-1")).unwrap();
    packages(&home, &["thing==1.0"]).unwrap();
    assert!(
        names_in(&cache(&home))
            .iter()
            .all(|name| !name.contains("tmp"))
    );
    assert!(home.store().status(&home.manifest).unwrap().cache_bytes > 0);
    assert!(home.store().remove_folders("tiny").unwrap() > 0);
    assert!(!cache(&home).exists());
}
