//! Descriptions of files in the Contents API.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use codeact::sandbox::{FileInfo, FileKind, Session};
use codeact_sessions::manager::ManagerError;
use serde::Deserialize;
use serde_json::{Value, json};

use super::ids::timestamp;
use crate::error::ApiError;

/// Home folder of the guest, which is the root of the contents.
const HOME: &str = "/home/user";
/// Folder of the kernels' files in the contents.
pub(super) const KERNELS: &str = "kernels";
/// Limit of a file that is sent, in bytes.
const MAX_FILE_BYTES: u64 = 64 << 20;
/// Limit of the entries of a folder.
const MAX_ENTRIES: usize = 10_000;

/// Query of a request for a file.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct View {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) format: Option<String>,
    /// 0: without content.
    pub(super) content: Option<u8>,
}

/// A path of the contents, validated: names without `..`, relative to the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ContentPath {
    /// The session whose file it is; `None`: the workspace.
    pub(super) kernel: Option<String>,
    /// The path in the home folder; empty for the folder itself.
    pub(super) inner: String,
}

impl ContentPath {
    /// Validates a path of a client.
    pub(super) fn parse(path: &str) -> Result<Self, ApiError> {
        let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
        let is_safe = |name: &&str| ![".", ".."].contains(name) && !name.contains(['\0', '\\']);
        if !names.iter().all(is_safe) {
            return Err(ApiError::not_found(format!(
                "No such file or directory: {path:.200}"
            )));
        }
        Ok(match names.as_slice() {
            [KERNELS, id, inner @ ..] => Self {
                kernel: Some((*id).to_owned()),
                inner: inner.join("/"),
            },
            names => Self {
                kernel: None,
                inner: names.join("/"),
            },
        })
    }

    /// True for the folder that lists the kernels.
    pub(super) fn is_kernels(&self) -> bool {
        self.kernel.is_none() && self.inner == KERNELS
    }

    /// Returns the path as clients see it.
    pub(super) fn public(&self) -> String {
        match (&self.kernel, self.inner.is_empty()) {
            (Some(id), true) => format!("{KERNELS}/{id}"),
            (Some(id), false) => format!("{KERNELS}/{id}/{}", self.inner),
            (None, _) => self.inner.clone(),
        }
    }

    /// Returns the path in the guest.
    pub(super) fn guest(&self) -> String {
        match self.inner.is_empty() {
            true => HOME.to_owned(),
            false => format!("{HOME}/{}", self.inner),
        }
    }

    /// Returns the path of an entry of the folder.
    pub(super) fn join(&self, name: &str) -> Self {
        let inner = match self.inner.is_empty() {
            true => name.to_owned(),
            false => format!("{}/{name}", self.inner),
        };
        Self {
            kernel: self.kernel.clone(),
            inner,
        }
    }

    /// Returns the path of the checkpoint of the file.
    pub(super) fn checkpoint(&self) -> Self {
        let (folder, name) = self.inner.rsplit_once('/').unwrap_or(("", &self.inner));
        let name = match name.rsplit_once('.') {
            Some((stem, extension)) => format!("{stem}-checkpoint.{extension}"),
            None => format!("{name}-checkpoint"),
        };
        let folder = Self {
            kernel: self.kernel.clone(),
            inner: folder.to_owned(),
        };
        folder.join(".ipynb_checkpoints").join(&name)
    }
}

/// Returns the description of `path`, with its content unless `view` says otherwise. The inner error is for the client.
pub(super) fn show(
    session: &Session,
    path: &ContentPath,
    view: &View,
) -> Result<Result<Value, ApiError>, ManagerError> {
    let mut info = session.file_info(&path.guest())?;
    if info.kind == FileKind::Symlink {
        // The attributes of its target, by which it is used.
        info.kind = match session.list_dir(&path.guest()) {
            Ok(_) => FileKind::Dir,
            Err(_) => FileKind::File,
        };
    }
    let with_content = view.content != Some(0);
    if info.kind == FileKind::Dir {
        if view.kind.as_deref().is_some_and(|kind| kind != "directory") {
            let why = format!("{} is a directory, not a {:?}", path.public(), view.kind);
            return Ok(Err(ApiError::bad_request(why)));
        }
        return Ok(Ok(folder(session, path, &info, with_content)?));
    }
    if view.kind.as_deref() == Some("directory") {
        let why = format!("{} is not a directory", path.public());
        return Ok(Err(ApiError::bad_request(why)));
    }
    file(session, path, &info, view, with_content)
}

fn folder(
    session: &Session,
    path: &ContentPath,
    info: &FileInfo,
    with_content: bool,
) -> Result<Value, ManagerError> {
    let mut model = model(path, info, "directory");
    if with_content {
        let entries = session.list_dir(&path.guest())?;
        let shown = entries.iter().filter(|entry| !entry.name.starts_with('.'));
        let models = shown.take(MAX_ENTRIES).map(|entry| {
            let path = path.join(&entry.name);
            let kind = match entry.kind {
                FileKind::Dir => "directory",
                _ => kind_of(&path),
            };
            self::model(&path, entry, kind)
        });
        model["content"] = models.collect();
        model["format"] = "json".into();
    }
    Ok(model)
}

fn file(
    session: &Session,
    path: &ContentPath,
    info: &FileInfo,
    view: &View,
    with_content: bool,
) -> Result<Result<Value, ApiError>, ManagerError> {
    let kind = match view.kind.as_deref() {
        Some("file") => "file",
        Some("notebook") => "notebook",
        _ => kind_of(path),
    };
    let mut model = model(path, info, kind);
    if !with_content {
        return Ok(Ok(model));
    }
    let file = session.read_file(&path.guest())?;
    if file.len() > MAX_FILE_BYTES {
        let why = format!("{} has more than {MAX_FILE_BYTES} bytes", path.public());
        return Ok(Err(ApiError::bad_request(why)));
    }
    let bytes = match file.to_vec() {
        Ok(bytes) => bytes,
        Err(error) => return Ok(Err(ApiError::internal(error))),
    };
    let invalid = |why: &str| {
        Ok(Err(ApiError::bad_request(format!(
            "{} {why}",
            path.public()
        ))))
    };
    let text = std::str::from_utf8(&bytes).ok();
    let (format, content) = match (kind, view.format.as_deref(), text) {
        ("notebook", _, Some(text)) => match serde_json::from_str::<Value>(text) {
            Ok(notebook) => ("json", notebook),
            Err(_) => return invalid("is not a notebook"),
        },
        ("notebook", _, None) => return invalid("is not a notebook"),
        (_, Some("base64"), _) | (_, None, None) => ("base64", STANDARD.encode(&bytes).into()),
        (_, _, Some(text)) => ("text", text.into()),
        (_, _, None) => return invalid("is not UTF-8 encoded"),
    };
    model["format"] = format.into();
    model["content"] = content;
    model["mimetype"] = match format {
        "text" => "text/plain".into(),
        "base64" => "application/octet-stream".into(),
        _ => Value::Null,
    };
    Ok(Ok(model))
}

fn kind_of(path: &ContentPath) -> &'static str {
    match path.inner.ends_with(".ipynb") {
        true => "notebook",
        false => "file",
    }
}

/// Returns a description without content.
pub(super) fn model(path: &ContentPath, info: &FileInfo, kind: &str) -> Value {
    let public = path.public();
    let time = timestamp(info.modified);
    json!({
        "name": public.rsplit('/').next().unwrap_or_default(),
        "path": public,
        "last_modified": time,
        "created": time,
        "content": null,
        "format": null,
        "mimetype": null,
        "size": match kind {
            "directory" => Value::Null,
            _ => info.bytes.into(),
        },
        "writable": info.writable,
        "hash": null,
        "hash_algorithm": null,
        "type": kind,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_outside_the_home_folder_are_refused() {
        for path in [
            "..",
            "../x",
            "a/../../x",
            "./x",
            "a/./b",
            "a\0b",
            "a\\..\\b",
            "kernels/../x",
        ] {
            assert!(ContentPath::parse(path).is_err(), "{path}");
        }
        let parsed = |path| ContentPath::parse(path).expect("a path");
        assert_eq!(parsed("/").guest(), HOME);
        assert_eq!(parsed("//a//b/").guest(), "/home/user/a/b");
        assert_eq!(parsed("kernels/1/a").guest(), "/home/user/a");
        assert_eq!(parsed("kernels/1/a").kernel.as_deref(), Some("1"));
        assert_eq!(parsed("...").inner, "...");
    }

    #[test]
    fn a_checkpoint_is_in_a_hidden_folder_next_to_the_file() {
        let path = ContentPath::parse("a/b.ipynb").expect("a path");
        assert_eq!(
            path.checkpoint().inner,
            "a/.ipynb_checkpoints/b-checkpoint.ipynb"
        );
    }
}
