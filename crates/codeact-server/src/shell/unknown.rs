//! Commands that this shell does not have.

use std::sync::Arc;

use bashkit::{Builtin, BuiltinContext, CommandResolver, ExecResult, Result, async_trait};

/// Tools of bashkit that would not say the truth here: there is no network, no terminal, and no disk.
const LEFT_OUT: [&str; 16] = [
    "curl", "df", "git", "http", "mount", "nano", "node", "ping", "rsync", "scp", "sftp", "ssh",
    "vi", "vim", "wget", "python2",
];

/// Returns true if the shell has bashkit's tool `name`.
pub(super) fn is_kept(name: &str) -> bool {
    !LEFT_OUT.contains(&name)
}

/// Resolves every name that no other command has.
pub(super) struct Unknown;

impl CommandResolver for Unknown {
    fn resolve(&self, name: &str) -> Option<Arc<dyn Builtin>> {
        // A path is looked up in the files.
        (!name.contains('/')).then(|| Arc::new(NotFound(name.to_owned())) as Arc<dyn Builtin>)
    }
}

struct NotFound(String);

#[async_trait]
impl Builtin for NotFound {
    async fn execute(&self, _context: BuiltinContext<'_>) -> Result<ExecResult> {
        let text = format!(
            "bash: {}: command not found\nThis is a shell over the files of a Python sandbox: it has bash's language, the \
             usual text and file tools, python and pip, and no other programs.\n",
            self.0
        );
        Ok(ExecResult::err(text, 127))
    }
}
