//! The stderr of a tool's program, shown to the user.
//!
//! Security boundary: a program may repeat text that the code chose, and it is called as often as the code likes.

use std::io::IsTerminal;
use std::path::Path;
use std::time::Duration;

use codeact_base::text::{one_line, shown};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Largest size of the shown stderr of one call, in bytes.
pub(crate) const MAX_BYTES: u64 = 64 << 10;
/// Time for the last output of a program that has exited.
const DRAIN_TIME: Duration = Duration::from_millis(500);

/// Copies the stderr of one call to the host's, line by line: at most [`MAX_BYTES`], and on a terminal with escaped
/// control characters.
pub(crate) struct Forwarding(Option<JoinHandle<()>>);

impl Forwarding {
    /// Begins to copy. Must be called in a runtime.
    pub(crate) fn start(
        program: &Path,
        from: Option<impl AsyncRead + Send + Unpin + 'static>,
    ) -> Self {
        let name = program.file_name().unwrap_or(program.as_os_str());
        let name = one_line(&name.to_string_lossy());
        Self(from.map(|from| {
            tokio::spawn(async move {
                let is_terminal = std::io::stderr().is_terminal();
                // If stderr cannot be written, the call continues.
                let _ = copy(from, tokio::io::stderr(), &name, is_terminal).await;
            })
        }))
    }

    /// Waits for the rest of an exited program's output. Another process may still have the pipe, so not for long.
    pub(crate) async fn finish(mut self) {
        if let Some(task) = &mut self.0 {
            let _ = timeout(DRAIN_TIME, task).await;
        }
    }
}

impl Drop for Forwarding {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

/// Copies `from` to `to`, and reads the rest so that the program is not stopped by it.
async fn copy(
    from: impl AsyncRead + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    name: &str,
    is_terminal: bool,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(from).take(MAX_BYTES);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).await? > 0 {
        if is_terminal {
            line = shown(&String::from_utf8_lossy(&line)).into_bytes();
        }
        if lines.limit() == 0 && !line.ends_with(b"\n") {
            line.push(b'\n');
        }
        to.write_all(&line).await?;
        to.flush().await?;
        line.clear();
    }
    let mut rest = lines.into_inner();
    let dropped = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await?;
    if dropped > 0 {
        let note = format!(
            "codeact: the stderr of {name} was cut: {MAX_BYTES} bytes shown, {dropped} dropped\n"
        );
        to.write_all(note.as_bytes()).await?;
        to.flush().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn copied(from: &[u8], is_terminal: bool) -> Vec<u8> {
        let mut to = Vec::new();
        copy(from, &mut to, "price", is_terminal).await.unwrap();
        to
    }

    #[tokio::test]
    async fn control_characters_are_escaped_on_a_terminal() {
        let text = b"\x1b]52;c;eA==\x07\xff\nlast";
        assert_eq!(
            copied(text, true).await,
            "\\u{1b}]52;c;eA==\\u{7}\u{fffd}\nlast".as_bytes()
        );
        assert_eq!(copied(text, false).await, text);
    }

    #[tokio::test]
    async fn stderr_over_the_limit_is_cut_with_a_notice() {
        let text = vec![b'x'; MAX_BYTES as usize + 10];
        let copied = String::from_utf8(copied(&text, true).await).unwrap();
        let (shown, note) = copied.split_once('\n').unwrap();
        assert_eq!(shown.len() as u64, MAX_BYTES);
        assert_eq!(
            note,
            "codeact: the stderr of price was cut: 65536 bytes shown, 10 dropped\n"
        );
        let lines = b"line\n".repeat(100);
        assert_eq!(super::tests::copied(&lines, false).await, lines);
    }
}
