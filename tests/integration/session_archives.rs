//! Attacks: archives of sessions that are too large, incomplete or numbered wrongly, and files that killed processes
//! leave in a session's folder.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::support::{Codeact, FinishedCommand, codeact, exec, ready};

struct Home(tempfile::TempDir);

type Files = Vec<(String, Vec<u8>)>;

impl Home {
    /// Returns a folder with the session `a` of one turn.
    fn new() -> Self {
        ready();
        let home = Self(tempfile::tempdir().unwrap());
        home.exec("a", "x = 1").run().success();
        home
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn exec(&self, name: &str, code: &str) -> Codeact {
        let exec = exec().args(["--session", name]).code(code);
        exec.host_env("CODEACT_SESSIONS", self.file("sessions"))
    }

    fn session(&self, args: &[&str]) -> FinishedCommand {
        let command = codeact(["session"]).args(args.iter().copied());
        let command = command.host_env("CODEACT_SESSIONS", self.file("sessions"));
        command.run()
    }

    /// Returns the files of the exported session.
    fn exported(&self) -> Files {
        let path = self.file("a.zip");
        let to = path.display().to_string();
        self.session(&["export", "a", "-o", &to]).success();
        let mut zip = ZipArchive::new(fs::File::open(path).unwrap()).unwrap();
        (0..zip.len())
            .map(|i| {
                let mut entry = zip.by_index(i).unwrap();
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes).unwrap();
                (entry.name().to_owned(), bytes)
            })
            .collect()
    }

    /// Imports an archive of `files` as the session `b`.
    fn import(&self, files: &[(&str, &[u8])]) -> FinishedCommand {
        let path = self.file("b.zip");
        let mut zip = ZipWriter::new(fs::File::create(&path).unwrap());
        for (name, bytes) in files {
            zip.start_file(*name, deflated()).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap();
        self.session(&["import", &path.display().to_string(), "b"])
    }

    /// Checks that an import was refused because of `why`, and left nothing.
    fn refused(&self, done: FinishedCommand, why: &str) {
        done.code(125)
            .stderr_contains("is damaged, or not a session")
            .stderr_contains(why);
        assert_eq!(names(&self.file("sessions")), ["a"]);
    }
}

fn deflated() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(CompressionMethod::Deflated)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Returns the files of `exported` with the turn `turn` in place of the first.
fn renumbered(exported: &Files, turn: u32) -> Files {
    let number = |(name, bytes): &(String, Vec<u8>)| {
        let name = name.replacen("000001", &format!("{turn:06}"), 1);
        let bytes = match serde_json::from_slice::<Value>(bytes) {
            Ok(mut record) => {
                record["turn"] = turn.into();
                record["state"] = turn.into();
                serde_json::to_vec(&record).unwrap()
            }
            Err(_) => bytes.clone(),
        };
        (name, bytes)
    };
    exported.iter().map(number).collect()
}

fn borrowed(files: &Files) -> Vec<(&str, &[u8])> {
    files
        .iter()
        .map(|(name, bytes)| (&**name, &**bytes))
        .collect()
}

#[test]
fn a_zip_bomb_is_refused_before_it_is_unpacked() {
    let home = Home::new();
    let first = home.exported();
    let zeros = vec![0; 40 << 20];
    let (second, third) = (renumbered(&first, 2), renumbered(&first, 3));
    let mut files = borrowed(&first);
    for turn in [&second, &third] {
        let (record, _) = turn
            .iter()
            .partition::<Vec<_>, _>(|(name, _)| name.ends_with("json"));
        files.extend(record.iter().map(|(name, bytes)| (&**name, &**bytes)));
    }
    files.push(("000002.snapshot", &zeros));
    files.push(("000003.snapshot", &zeros));
    home.refused(home.import(&files), "its files are larger than 64 MiB");
}

#[test]
fn a_zip_bomb_that_states_a_small_size_is_refused() {
    let home = Home::new();
    let first = home.exported();
    let zeros = vec![0; 70 << 20];
    let mut files = borrowed(&first);
    files.retain(|(name, _)| name.ends_with("json"));
    files.push(("000001.snapshot", &zeros));
    let path = home.file("b.zip");
    home.import(&files).code(125);
    // Both places that state the unpacked size.
    let mut bytes = fs::read(&path).unwrap();
    let (stated, small) = (zeros.len() as u32, 1000_u32);
    let mut count = 0;
    for at in 0..bytes.len() - 4 {
        if bytes[at..at + 4] == stated.to_le_bytes() {
            bytes[at..at + 4].copy_from_slice(&small.to_le_bytes());
            count += 1;
        }
    }
    assert!(count >= 1, "{count}");
    fs::write(&path, bytes).unwrap();
    let done = home.session(&["import", &path.display().to_string(), "b"]);
    home.refused(done, "b.zip");
}

#[test]
fn turns_of_an_archive_are_numbered_from_one_without_gaps() {
    let home = Home::new();
    let first = home.exported();
    let last = renumbered(&first, 999_999);
    home.refused(
        home.import(&borrowed(&last)),
        "it has turn 999999 and no turn 1",
    );
    let third = renumbered(&first, 3);
    let gap = [borrowed(&first), borrowed(&third)].concat();
    home.refused(home.import(&gap), "it has turn 3 and no turn 2");
    let many = renumbered(&first, 1_000_000);
    home.refused(
        home.import(&borrowed(&many)),
        "it contains \"1000000.json\"",
    );
}

#[test]
fn a_snapshot_without_its_turn_and_a_turn_without_its_snapshot_are_refused() {
    let home = Home::new();
    let first = home.exported();
    let second = renumbered(&first, 2);
    let mut extra = [borrowed(&first), borrowed(&second)].concat();
    extra.retain(|(name, _)| *name != "000002.json");
    home.refused(
        home.import(&extra),
        "it has a snapshot of turn 2, and no such turn",
    );
    let mut records = borrowed(&first);
    records.retain(|(name, _)| name.ends_with("json"));
    home.refused(home.import(&records), "its last state is missing");
    for name in [
        "../000001.json",
        "lock",
        "a/000002.json",
        "000002.suspended",
        "000000.json",
    ] {
        let files = [borrowed(&first), vec![(name, &b"{}"[..])]].concat();
        home.refused(home.import(&files), "it contains");
    }
}

#[test]
fn a_session_with_the_last_turn_number_takes_no_further_turn() {
    let home = Home::new();
    let folder = home.file("sessions/a");
    for (name, bytes) in renumbered(&home.exported(), 999_999) {
        fs::write(folder.join(name), bytes).unwrap();
    }
    let before = names(&folder);
    let done = home.exec("a", "x = 99; print('set')").run().code(125);
    done.stdout("")
        .stderr_contains("the session a has 999999 turns or more, which is the limit");
    assert_eq!(names(&folder), before);
    home.session(&["undo", "a"]).success();
    home.exec("a", "print(x)").run().success().stdout("1\n");
}

#[test]
fn temporary_files_of_killed_processes_are_removed_from_a_session() {
    let home = Home::new();
    let folder = home.file("sessions/a");
    let leave = || {
        for name in [".tmp-AbCdEf", ".tmp-000002"] {
            fs::write(folder.join(name), vec![0; 100_000]).unwrap();
        }
        fs::create_dir_all(folder.join(".tmp-folder")).unwrap();
        fs::write(folder.join("notes.tmp-x"), "not ours").unwrap();
    };
    let left = || names(&folder);
    let kept = [
        ".tmp-folder",
        "000001.json",
        "000001.snapshot",
        "lock",
        "notes.tmp-x",
    ];
    leave();
    home.session(&["gc"]).success();
    assert_eq!(left(), kept);
    leave();
    // A process that has the session open may be writing one.
    let mut running = home.exec("a", "print('on', flush=True); input()").spawn();
    assert_eq!(running.line().trim_end(), "on");
    fs::write(folder.join(".tmp-now"), "half").unwrap();
    home.session(&["gc"]).success();
    assert!(left().contains(&".tmp-now".to_owned()));
    running.end_input();
    running.end();
    home.exec("a", "print(x)").run().success().stdout("1\n");
    assert!(!left().contains(&".tmp-now".to_owned()), "{:?}", left());
}
