//! Named sessions after kill -9 and on a full disk.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::{Codeact, codeact, exec, ready};

/// Number of turns that the session has at the end.
const TURNS: u32 = 100;

fn within(dir: &Path, command: Codeact) -> Codeact {
    command.host_env("CODEACT_SESSIONS", dir)
}

/// Starts a REPL that runs `left` more turns of the session `s`.
fn count_on(dir: &Path, left: u32) -> Child {
    use std::io::Write;

    let mut child = Command::new(env!("CARGO_BIN_EXE_codeact"))
        .args(["repl", "--session", "s"])
        .env("CODEACT_SESSIONS", dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = "n += 1; a[n % 7] = n; _ = open('log', 'a').write(f'{n}\\n')\nprint(n)\n";
    let mut stdin = child.stdin.take().unwrap();
    // Two turns for each number: one changes the session, and one prints it.
    let _ = stdin.write_all(lines.repeat(left as usize / 2).as_bytes());
    child
}

#[test]
fn processes_killed_at_random_moments_lose_no_finished_turn() {
    use std::io::Read;

    ready();
    let home = tempfile::tempdir().unwrap();
    let dir = home.path();
    let begin = "import numpy as np; n = 0; a = np.zeros(7); _ = open('log', 'w').write('')";
    within(dir, exec().args(["--session", "s"]).code(begin))
        .run()
        .success();
    // A fixed sequence of delays. The assertions hold at any moment.
    let mut random = 0x2545_F491_4F6C_DD1D_u64;
    let (mut n, mut kills) = (0, 0);
    while n < TURNS / 2 {
        let mut child = count_on(dir, TURNS - 2 * n);
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        // Later rounds have longer delays, so that the test terminates on a slow machine as well.
        std::thread::sleep(Duration::from_millis(random % (150 + 20 * kills)));
        let ended = child.try_wait().unwrap().is_some();
        child.kill().unwrap();
        let mut out = String::new();
        child
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut out)
            .unwrap();
        child.wait().unwrap();
        kills += u64::from(!ended);
        // A printed number was committed by the previous turn.
        let whole = out.rfind('\n').map_or("", |end| &out[..end]);
        let printed = whole.lines().last().map_or(n, |last| last.parse().unwrap());
        let look = "print(n, int(a.max()), len(open('log').read().split()))";
        let now = within(dir, exec().args(["--session", "s"]).code(look))
            .run()
            .success()
            .stdout;
        let now: Vec<u32> = now.split_whitespace().map(|n| n.parse().unwrap()).collect();
        assert!(
            now[0] >= printed,
            "{printed} was printed, and the session has {}",
            now[0]
        );
        assert!(
            now.iter().all(|part| *part == now[0]),
            "inconsistent: {now:?}"
        );
        n = now[0];
    }
    let listed = within(dir, codeact(["session", "log", "s"]))
        .run()
        .success();
    assert!(
        listed.stdout.lines().count() > TURNS as usize,
        "{}",
        listed.stdout
    );
    // Nothing is left of the interrupted turns, and each state can be restored.
    within(dir, codeact(["session", "gc", "--keep", "1000"]))
        .run()
        .success();
    within(dir, codeact(["session", "fork", "s@1", "first"]))
        .run()
        .success();
    within(dir, exec().args(["--session", "first"]).code("print(n)"))
        .run()
        .success()
        .stdout("0\n");
}

/// Runs turns on a disk of 4 MiB with different amounts of free space. After each, frees the space and prints
/// the state of the session.
#[cfg(target_os = "linux")]
const FULL_DISK: &str = r#"
set -eu
codeact=$1 disk=$2
mount -t tmpfs -o size=4m none "$disk"
export CODEACT_SESSIONS="$disk/sessions"
turn() { "$codeact" exec --quiet --session s -c "$1"; }
turn 'n = 0'
for left in 0 4 8 12 60 120 200 240 280 300 320 340 360 400 440 480 600; do
    head -c $(($(df --output=avail -k "$disk" | tail -1) * 1024 - left * 1024)) /dev/zero > "$disk/other"
    if turn 'n += 1'; then echo done; else echo "failed $?"; fi
    rm "$disk/other"
    turn 'print(n)'
    "$codeact" session undo s --quiet
    "$codeact" session gc --quiet
done
"#;

#[cfg(target_os = "linux")]
#[test]
fn a_turn_on_a_full_disk_is_an_error_and_loses_nothing() {
    ready();
    let disk = tempfile::tempdir().unwrap();
    // In its own mount namespace. Without root it needs a user namespace as well.
    let script = |flags: &str| {
        Command::new("unshare")
            .args([flags, "sh", "-c", FULL_DISK, "sh"])
            .arg(env!("CARGO_BIN_EXE_codeact"))
            .arg(disk.path())
            .output()
            .unwrap()
    };
    let done = Some(script("-m")).filter(|done| done.status.success());
    let done = done.unwrap_or_else(|| script("-Urm"));
    let stderr = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{stderr}");
    let stdout = String::from_utf8_lossy(&done.stdout);
    let lines: Vec<&str> = stdout.lines().collect();
    let (mut n, mut failed) = (0, 0);
    for pair in lines.chunks(2) {
        match pair[0] {
            "done" => n += 1,
            "failed 125" => failed += 1,
            other => panic!("{other}: {stderr}"),
        }
        assert_eq!(pair[1], n.to_string(), "{stdout}{stderr}");
    }
    assert_eq!(n + failed, 17, "{stdout}");
    assert!(n > 0 && failed > 0, "{stdout}");
    assert_eq!(
        stderr.matches("No space left on device").count(),
        failed,
        "{stderr}"
    );
}
