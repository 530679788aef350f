//! Downloads with package clients, which are shell scripts here.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::thread;
use std::time::Duration;

use codeact_base::event::{Event, Progress, SetupStage};

use super::{Home, Tiny, event_recorder};
use crate::{Clients, InstallOptions, PackError};

/// Writes a client to the home's `bin`. It logs its arguments and runs `body`, in which `$dest` is the destination
/// folder and `$all` are the arguments.
pub(crate) fn fake(home: &Home, name: &str, body: &str) {
    let path = home.path("bin").join(name);
    let log = home.path("calls");
    let script = format!(
        "#!/bin/sh\nall=\"$*\"\necho \"{name} $all\" >> '{}'\n\
         while [ $# -gt 1 ]; do [ \"$1\" = --dest ] && dest=$2; shift; done\n{body}\n",
        log.display()
    );
    // Written by another process: if the file were open for writing here, a fork on the thread of another test could
    // hold it open while it is executed ("text file busy").
    let status = Command::new("sh")
        .args(["-c", "printf %s \"$1\" > \"$0\" && chmod 755 \"$0\""])
        .args([path.as_os_str(), script.as_ref()])
        .status();
    assert!(status.unwrap().success());
}

fn good(home: &Home) -> String {
    format!("cp '{}' \"$dest/\"", home.wheel().display())
}

pub(crate) fn calls(home: &Home) -> Vec<String> {
    let text = fs::read_to_string(home.path("calls")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn uv_is_first_and_downloads_only_the_pinned_wheel() {
    let home = Tiny::default().home();
    fake(&home, "uv", &good(&home));
    fake(&home, "python3", "exit 9");
    let (events, seen) = event_recorder();
    let store = home.store_with_events(events);
    store
        .ensure(&home.manifest, &InstallOptions::default())
        .unwrap();
    let calls = calls(&home);
    assert_eq!(calls.len(), 1);
    assert!(calls[0].starts_with("uv tool run pip download --no-deps --only-binary :all: "));
    assert!(calls[0].ends_with(" tiny-python==0.1.0"));
    let total = Some(home.manifest.distribution.size);
    let started = Event::Setup {
        stage: SetupStage::Download,
        progress: Progress::Started { total },
    };
    assert_eq!(seen.lock().unwrap()[0], started);
    assert_eq!(home.packs(), [home.manifest.folder()]);
}

#[test]
fn the_next_client_is_used_after_a_failure() {
    let home = Tiny::default().home();
    fake(&home, "uv", "echo no interpreter >&2; exit 2");
    fake(&home, "python3", "echo No module named pip >&2; exit 1");
    fake(&home, "python", &good(&home));
    home.store()
        .ensure(&home.manifest, &InstallOptions::default())
        .unwrap();
    let calls = calls(&home);
    assert_eq!(calls.len(), 3);
    assert!(calls[2].starts_with("python -m pip download "));
}

#[test]
fn two_names_of_one_python_count_once() {
    let home = Tiny::default().home();
    fake(&home, "python3", "exit 1");
    symlink("python3", home.path("bin/python")).unwrap();
    let error = home
        .store()
        .ensure(&home.manifest, &InstallOptions::default());
    error.unwrap_err();
    assert_eq!(calls(&home).len(), 1);
}

#[test]
fn if_all_clients_fail_the_error_has_the_last_lines_of_each() {
    let home = Tiny::default().home();
    fake(&home, "uv", "echo 'uv cannot connect' >&2; exit 2");
    let noise = "i=0; while [ $i -lt 99 ]; do echo noise $i; i=$((i+1)); done";
    let body = format!("{noise}; printf '\\033[31mERROR: name resolution\\n' >&2; exit 1");
    fake(&home, "python3", &body);
    let error = home
        .store()
        .ensure(&home.manifest, &InstallOptions::default())
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("uv cannot connect") && text.contains("exit status: 2"),
        "{text}"
    );
    assert!(
        text.contains("ERROR: name resolution") && text.contains("noise 98"),
        "{text}"
    );
    assert!(!text.contains('\x1b') && !text.contains("noise 50\n"));
    home.assert_empty();
}

#[test]
fn a_missing_or_wrong_wheel_is_an_error() {
    let home = Tiny::default().home();
    fake(&home, "uv", "echo done");
    let error = home
        .store()
        .ensure(&home.manifest, &InstallOptions::default())
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("succeeded, but did not write tiny_python"),
        "{error}"
    );

    fake(
        &home,
        "uv",
        &format!("head -c 99 /dev/zero > \"$dest/{}\"", super::WHEEL),
    );
    let error = home
        .store()
        .ensure(&home.manifest, &InstallOptions::default())
        .unwrap_err();
    assert!(
        matches!(error, PackError::WrongSize { found: 99, .. }),
        "{error}"
    );
    home.assert_empty();
}

#[test]
fn no_space_left_in_the_output_is_a_full_disk() {
    let home = Tiny::default().home();
    fake(
        &home,
        "uv",
        "echo 'OSError: [Errno 28] No space left on device' >&2; exit 2",
    );
    let error = home
        .store()
        .ensure(&home.manifest, &InstallOptions::default())
        .unwrap_err();
    assert!(matches!(error, PackError::DiskFull { .. }), "{error}");
}

#[test]
fn a_client_that_stalls_is_stopped() {
    let home = Tiny::default().home();
    fake(&home, "uv", "exec sleep 1000");
    let clients = Clients::in_path(home.path("bin")).stall(Duration::from_millis(1));
    let store = home.store().with_clients(clients);
    let error = store
        .ensure(&home.manifest, &InstallOptions::default())
        .unwrap_err();
    assert!(error.to_string().contains("did nothing for"), "{error}");
    home.assert_empty();
}

#[test]
fn without_a_client_the_error_lists_the_programs() {
    let home = Tiny::default().home();
    // A file without execute permission and a file in a relative folder are not programs.
    fs::write(home.path("bin/uv"), b"text").unwrap();
    let error = home
        .store()
        .ensure(&home.manifest, &InstallOptions::default())
        .unwrap_err();
    assert!(matches!(error, PackError::NoClient { .. }), "{error}");
    let text = error.to_string();
    assert_eq!(error.hint(), Some(super::install_from_file()));
    assert!(text.contains("uv, python3, python") && text.contains("download tiny_python"));
}

#[test]
fn concurrent_installations_download_once() {
    let home = Tiny::default().home();
    fake(&home, "uv", &good(&home));
    thread::scope(|scope| {
        let ensure = || {
            let store = home.store();
            store
                .ensure(&home.manifest, &InstallOptions::default())
                .unwrap()
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(ensure)).collect();
        let mut packs = threads.into_iter().map(|t| t.join().unwrap());
        let first = packs.next().unwrap();
        assert!(packs.all(|pack| pack == first));
    });
    assert_eq!(calls(&home).len(), 1);
    assert_eq!(home.packs(), [home.manifest.folder()]);
}

#[test]
fn two_stores_of_one_home_download_once() {
    let home = Tiny::default().home();
    fake(&home, "uv", &good(&home));
    let (one, two) = (home.store(), home.store());
    let first = one
        .ensure(&home.manifest, &InstallOptions::default())
        .unwrap();
    let second = two
        .ensure(&home.manifest, &InstallOptions::default())
        .unwrap();
    assert_eq!(first, second);
    assert_eq!(calls(&home).len(), 1);
}

#[test]
fn uvs_index_settings_apply_to_its_pip_unless_pip_has_settings() {
    let home = Tiny::default().home();
    let shown = "echo \"index: $PIP_INDEX_URL extra: $PIP_EXTRA_INDEX_URL\"; exit 1";
    fake(&home, "uv", shown);
    let bin = home.path("bin").into_os_string();
    let env = |name: &str| match name {
        "PATH" => Some(bin.clone()),
        "UV_DEFAULT_INDEX" => Some("house=https://mirror.invalid/simple?a=b".into()),
        "UV_INDEX" => Some("https://one.invalid/ two=https://two.invalid/".into()),
        _ => None,
    };
    let failure = |clients| {
        let store = home.store().with_clients(clients);
        let error = store.ensure(&home.manifest, &InstallOptions::default());
        error.unwrap_err().to_string()
    };
    let text = failure(Clients::from_env(&env));
    assert!(
        text.contains("index: https://mirror.invalid/simple?a=b extra:"),
        "{text}"
    );
    assert!(
        text.contains("extra: https://one.invalid/ https://two.invalid/\n"),
        "{text}"
    );
    let own = |name: &str| match name {
        "PIP_INDEX_URL" => Some("https://pip.invalid/".into()),
        name => env(name),
    };
    assert!(!failure(Clients::from_env(&own)).contains("mirror.invalid"));
}
