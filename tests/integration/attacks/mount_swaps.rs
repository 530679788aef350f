//! Changes on the host between listing and opening: links and pipes that replace listed files.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use codeact::sandbox::MountMode;

use crate::host_folder::{Folder, SECRET};
use crate::support::{result, shown};

/// Lets the guest list `/m` and `/m/d`, calls `swap` on the host, and runs `code`. The variable `opened` is `/m/d/f.txt`,
/// opened before. Returns the stdout of `code`.
#[track_caller]
fn after_swap(folder: &Folder, mode: &str, swap: impl FnOnce(), code: &str) -> String {
    let code = format!(
        "import os, errno
assert os.listdir('/m') and os.listdir('/m/d')
opened = open('/m/d/f.txt')
print('listed', flush=True); input()
def look(do):
    try:
        print(do())
    except OSError as e: print(errno.errorcode[e.errno])
{code}"
    );
    let mut live = folder.exec(mode).code(&code).spawn();
    assert_eq!(live.line(), "listed\n");
    swap();
    live.write("go\n");
    let done = live.end().success();
    assert!(!done.stdout.contains(SECRET), "{done:?}");
    done.stdout.strip_prefix("listed\n").unwrap().to_owned()
}

fn folder() -> Folder {
    Folder::new(&[("d/f.txt", "inside"), ("d/g.txt", "inside too")])
}

const READ: &str = "look(lambda: open('/m/d/f.txt').read())
look(lambda: open('/m/d/g.txt').read())
look(lambda: opened.read())";

#[test]
fn a_file_swapped_for_a_link_is_not_followed() {
    let folder = folder();
    let swap = || {
        fs::rename(folder.at("d/f.txt"), folder.at("away")).unwrap();
        folder.link(folder.outside().join("secret.txt"), "d/f.txt");
        fs::remove_file(folder.at("d/g.txt")).unwrap();
        folder.link("../../outside/secret.txt", "d/g.txt");
    };
    let code = "opened2 = opened.read()\n".to_owned() + READ;
    // The open descriptor still refers to the opened file.
    let out = after_swap(&folder, "ro", swap, &code);
    assert_eq!(out, "inside\nESTALE\n\n");
}

#[test]
fn a_file_that_is_not_open_swapped_for_a_link_is_not_followed() {
    let folder = folder();
    let swap = || {
        fs::remove_file(folder.at("d/f.txt")).unwrap();
        folder.link(folder.outside().join("secret.txt"), "d/f.txt");
    };
    let code = "opened.close()\nlook(lambda: open('/m/d/f.txt').read())
look(lambda: open('/m/d/f.txt', 'r+').read())\nlook(lambda: os.truncate('/m/d/f.txt', 2))";
    let out = after_swap(&folder, "overlay", swap, code);
    assert_eq!(out, "ESTALE\n".repeat(3));
    folder.assert_outside_untouched();
}

#[test]
fn a_folder_swapped_for_a_link_is_not_followed() {
    let folder = folder();
    let swap = || {
        fs::rename(folder.at("d"), folder.at("away")).unwrap();
        folder.link(folder.outside(), "d");
    };
    let code = format!(
        "opened.close()\n{}",
        READ.replace("opened.read()", "os.listdir('/m/d')")
    );
    let out = after_swap(&folder, "ro", swap, &code);
    assert_eq!(out, "ENOTDIR\nENOTDIR\n['f.txt', 'g.txt']\n");
}

#[test]
fn a_folder_swapped_before_it_is_listed_is_not_followed() {
    let folder = Folder::new(&[("d/f.txt", "inside"), ("later/f.txt", "inside")]);
    let swap = || {
        fs::rename(folder.at("later"), folder.at("away")).unwrap();
        folder.link(folder.outside(), "later");
    };
    let code = "look(lambda: os.listdir('/m/later'))\nlook(lambda: open('/m/later/f.txt').read())
look(lambda: open('/m/later/secret.txt').read())";
    assert_eq!(after_swap(&folder, "ro", swap, code), "ENOTDIR\n".repeat(3));
}

#[test]
fn a_mounted_folder_replaced_on_the_host_stays_the_one_that_was_mounted() {
    let folder = folder();
    let old = folder.path().with_file_name("old");
    let swap = || {
        fs::rename(folder.path(), &old).unwrap();
        std::os::unix::fs::symlink(folder.outside(), folder.path()).unwrap();
    };
    let code = format!("opened.close()\n{READ}").replace("opened.read()", "os.listdir('/m')");
    let out = after_swap(&folder, "ro", swap, &code);
    assert_eq!(out, "inside\ninside too\n['d']\n");
}

#[test]
fn a_pipe_in_place_of_a_file_does_not_block_the_host() {
    let folder = folder();
    let swap = || {
        fs::remove_file(folder.at("d/f.txt")).unwrap();
        make_pipe(&folder.at("d/f.txt"));
    };
    let code = "opened.close()\nlook(lambda: open('/m/d/f.txt').read())";
    assert_eq!(after_swap(&folder, "ro", swap, code), "EACCES\n");
}

fn make_pipe(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status();
    assert!(made.unwrap().success());
}

#[test]
fn pipes_sockets_and_devices_in_a_mount_can_be_seen_and_not_opened() {
    let folder = Folder::new(&[("f.txt", "inside")]);
    make_pipe(&folder.at("pipe"));
    let _socket = std::os::unix::net::UnixListener::bind(folder.at("socket")).unwrap();
    let code = "import os, errno, stat, shutil
print(sorted(os.listdir('/m')))
for name in ('pipe', 'socket'):
    path = '/m/' + name
    print(stat.S_ISREG(os.stat(path).st_mode), os.path.isfile(path), os.path.isdir(path))
    for do in (open, lambda p: open(p, 'w'), lambda p: os.open(p, os.O_RDWR | os.O_CREAT), os.listdir,
               lambda p: os.truncate(p, 0), lambda p: os.rename(p, p + '2')):
        try:
            do(path)
            print('allowed')
        except OSError as e: pass";
    for mode in [MountMode::ReadOnly, MountMode::Overlay] {
        let e = folder.run(mode, code);
        result(&e);
        let out = "['f.txt', 'pipe', 'socket']\nFalse False False\nFalse False False\n";
        assert_eq!(e.stdout.text, out);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn devices_and_descriptors_of_the_host_cannot_be_opened_in_a_mount_of_them() {
    let mount = codeact::sandbox::Mount::open("/dev").unwrap();
    let sandbox = crate::support::sandbox()
        .derive()
        .mount(mount.at("/m").unwrap())
        .build();
    let code = "import os
for name in ('null', 'zero', 'full', 'random', 'tty', 'ptmx', 'stdin', 'stdout', 'fd/0', 'fd/1', 'fd/3'):
    for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR):
        try:
            os.open('/m/' + name, flags)
            print('allowed', name, flags)
        except OSError: pass";
    let e = sandbox.unwrap().run_blocking(code).unwrap();
    result(&e);
    assert_eq!(e.stdout.text, "");
}

/// Calls `swap` repeatedly, at least a thousand times, while the guest reads `/m/d/f.txt` and lists `/m/d`. The guest must
/// see only files of the mount.
fn hammer(folder: &Folder, swap: impl Fn() + Sync) {
    let (swaps, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    let code = "import os
seen = set()
for i in range(300):
    try:
        seen.add(open('/m/d/f.txt').read())
        seen.update(os.listdir('/m/d'))
    except OSError: pass
print(seen)";
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                swap();
                swaps.fetch_add(1, Ordering::Relaxed);
            }
        });
        let _ends = End(&done);
        let run = || {
            let e = folder.run(MountMode::ReadOnly, code);
            (shown(&e).contains(SECRET) || shown(&e).contains("secret.txt")).then(|| shown(&e))
        };
        let mut leaked = run();
        while leaked.is_none() && swaps.load(Ordering::Relaxed) < 1000 {
            leaked = run();
        }
        assert_eq!(leaked, None);
    });
}

/// Stops the thread of [`hammer`], also if an assertion fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_file_swapped_a_thousand_times_while_it_is_read_never_shows_the_secret() {
    let folder = folder();
    let (next, file) = (folder.path().with_file_name("next"), folder.at("d/f.txt"));
    hammer(&folder, || {
        std::os::unix::fs::symlink(folder.outside().join("secret.txt"), &next).unwrap();
        fs::rename(&next, &file).unwrap();
        fs::write(&next, "inside").unwrap();
        fs::rename(&next, &file).unwrap();
    });
}

#[test]
fn a_folder_swapped_a_thousand_times_while_it_is_read_never_shows_the_secret() {
    let folder = folder();
    let (away, dir) = (folder.path().with_file_name("away"), folder.at("d"));
    hammer(&folder, || {
        fs::rename(&dir, &away).unwrap();
        std::os::unix::fs::symlink(folder.outside(), &dir).unwrap();
        fs::remove_file(&dir).unwrap();
        fs::rename(&away, &dir).unwrap();
    });
}
