//! Resolution, download and cache, with clients that are shell scripts.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use codeact_base::event::Event;

use super::wheel_that_requires;
use crate::PackError;
use crate::tests::clients::{calls, fake};
use crate::tests::{Home, Tiny, event_recorder, names_in};
use crate::{Clients, Requirement, Site};

/// Returns a home with a client. Its index has `thing` 1.0, which depends on `other` 2.0 and on the pack's own
/// package.
pub(super) fn home() -> Home {
    let home = Tiny::default().home();
    for folder in ["pure", "compiled", "other-python"] {
        fs::create_dir_all(home.path("index").join(folder)).unwrap();
    }
    let members: [(&str, &[u8]); 2] = [
        ("thing/__init__.py", b"import other"),
        ("shared.py", b"thing"),
    ];
    add(&home, "thing", "1.0", &["Other>=1", "tiny"], &members);
    let members: [(&str, &[u8]); 2] = [("other.py", b"x = 2"), ("shared.py", b"other's")];
    add(&home, "other", "2.0", &[], &members);
    client(&home, "");
    home
}

/// Adds a pure wheel to the index.
pub(super) fn add(
    home: &Home,
    name: &str,
    version: &str,
    requires: &[&str],
    members: &[(&str, &[u8])],
) {
    let path = home.path(&format!("index/pure/{name}-{version}-py3-none-any.whl"));
    fs::write(path, wheel_that_requires(name, version, requires, members)).unwrap();
}

/// Adds a version to the index that has no pure wheel: it is in the folder `kind`.
pub(super) fn add_other(home: &Home, kind: &str, name: &str, version: &str) {
    let path = home.path(&format!("index/{kind}/{name}-{version}-py3-none-any.whl"));
    fs::write(path, "").unwrap();
}

/// Adds a version to the index that is a source archive.
pub(super) fn add_source(home: &Home, name: &str, version: &str) {
    fs::write(home.path(&format!("index/source-{name}")), version).unwrap();
}

/// Writes a client that behaves like pip, after these lines of shell.
pub(super) fn client(home: &Home, before: &str) {
    let body = format!(
        r#"{before}
index='{index}'
name=${{all##* }}
case "$all" in
*'index versions'*)
    versions=$(cat "$index/source-$name" 2>/dev/null)
    for f in "$index"/*/"$name"-*; do
        [ -e "$f" ] && f=${{f##*/"$name"-}} && versions="${{versions:+$versions, }}${{f%%-*}}"
    done
    [ -z "$versions" ] && exit 1
    echo "Available versions: $versions"; exit;;
*'--ignore-requires-python'*) folder=other-python;;
*) folder=${{PIP_PLATFORM:+compiled}}; folder=${{folder:-pure}};;
esac
mkdir -p "$dest"
for r in ${{all##* -- }}; do
    name=${{r%%[<>=!~]*}}
    case "$r" in *'<0.dev0') want=none;; *==*) want=${{r##*==}}; want=${{want%%,*}};; *) want='*';; esac
    found=
    for f in "$index/$folder/$name"-$want-*.whl; do
        v=${{f##*/"$name"-}}
        case "$r," in *"!=${{v%%-*}},"*) ;; *) [ -e "$f" ] && found=$f;; esac
    done
    if [ -z "$found" ]; then
        versions=
        for f in "$index/$folder/$name"-*; do
            [ -e "$f" ] && f=${{f##*/"$name"-}} && versions="${{versions:+$versions, }}${{f%%-*}}"
        done
        echo "ERROR: Could not find a version that satisfies the requirement $r (from versions: ${{versions:-none}})" >&2
        echo "ERROR: No matching distribution found for $r" >&2; exit 1
    fi
    cp "$found" "$dest/"
done"#,
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
    let mut names = names_in(&cache(home));
    names.retain(|name| !name.starts_with("refusal-"));
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
    let seen = seen.lock().unwrap();
    let texts = seen.iter().filter_map(|event| match event {
        Event::SetupStatus { text, .. } => Some(text.as_str()),
        _ => None,
    });
    assert_eq!(
        texts.collect::<Vec<_>>(),
        ["fetching thing", "fetching other>=1"]
    );

    let calls = calls(&home);
    assert_eq!(calls.len(), 3, "{calls:?}");
    let download = "uv tool run pip download --no-deps --only-binary :all: --implementation py --abi none \
                    --platform any --python-version 3.15 --dest";
    assert_eq!(calls[0], format!("{download} wheels-0 -- thing"));
    assert_eq!(calls[1], format!("{download} wheels-1 -- other>=1"));
    assert_eq!(
        calls[2],
        "uv tool run pip index versions --ignore-requires-python -- thing"
    );
    assert!(
        names_in(&cache(&home))
            .iter()
            .all(|name| !name.contains("tmp") && !name.starts_with(".lock-"))
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
    // All selected versions together, as a recording names them.
    let all = ["other==2.0", "thing==1.0"];
    assert_eq!(offline(&home, &all).unwrap(), first);
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

#[test]
fn a_resolution_does_not_wait_for_another_one() {
    let home = home();
    add(&home, "slow", "1.0", &[], &[]);
    let (began, go_on) = (home.path("began"), home.path("go-on"));
    let before = format!(
        "case \"$all\" in *' slow') touch '{}'; while [ ! -e '{}' ]; do sleep 0.05; done;; esac",
        began.display(),
        go_on.display()
    );
    client(&home, &before);
    thread::scope(|scope| {
        let slow = scope.spawn(|| packages(&home, &["slow"]).unwrap());
        while !began.exists() {
            thread::yield_now();
        }
        // It also leaves the other one's folder alone.
        packages(&home, &["thing"]).unwrap();
        fs::write(&go_on, "").unwrap();
        assert_eq!(slow.join().unwrap().packages[0].name, "slow");
    });
}

#[test]
fn a_cancelled_resolution_stops_its_client() {
    let home = home();
    let (began, pid) = (home.path("began"), home.path("pid"));
    let before = format!(
        "echo $$ > '{}'; touch '{}'; while :; do sleep 0.05; done",
        pid.display(),
        began.display()
    );
    client(&home, &before);
    let cancelled = Arc::new(AtomicBool::new(false));
    let clients = Clients::in_path(home.path("bin")).cancelled_by(cancelled.clone());
    let store = home.store().with_clients(clients);
    thread::scope(|scope| {
        let running = scope.spawn(|| store.packages(&home.manifest, &wanted(&["thing"]), false));
        while !began.exists() {
            thread::yield_now();
        }
        cancelled.store(true, Ordering::Relaxed);
        let error = running.join().unwrap().unwrap_err();
        assert!(matches!(error, PackError::Cancelled), "{error}");
    });
    // The supervisor has been waited for, and init waits for the client.
    let pid = fs::read_to_string(&pid).unwrap();
    while is_alive(pid.trim()) {
        thread::yield_now();
    }
}

/// Returns true if a process exists. One that has exited, and that nothing has waited for yet, does not count.
fn is_alive(pid: &str) -> bool {
    let state = std::process::Command::new("ps")
        .args(["-o", "stat=", "-p", pid])
        .output()
        .unwrap();
    let state = String::from_utf8_lossy(&state.stdout);
    !state.trim().is_empty() && !state.trim().starts_with('Z')
}

#[test]
fn a_resolution_ends_at_its_time_limit() {
    let home = home();
    client(&home, "while :; do echo waiting; sleep 0.05; done");
    let clients = Clients::in_path(home.path("bin")).time_limit(Duration::from_millis(300));
    let store = home.store().with_clients(clients);
    let error = store
        .packages(&home.manifest, &wanted(&["thing"]), false)
        .unwrap_err();
    assert!(
        matches!(error, PackError::ResolutionGaveUp { .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains("the last one: fetching thing"),
        "{error}"
    );
}
