//! `--secret`: values that the code can use but not see.

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, bail};

use codeact::tools::net::{HostRule, Secret};

/// Limit of a file with a secret, in bytes.
const MAX_FILE_BYTES: u64 = 8192;

/// `NAME[=FILE][@HOST[:PORT][,…]]`, as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SecretArg {
    name: String,
    file: Option<PathBuf>,
    hosts: Vec<HostRule>,
}

impl FromStr for SecretArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // A file name may contain an `@`, a host cannot.
        let (named, hosts) = match text.rsplit_once('@') {
            Some((named, hosts)) => (named, hosts.split(',').collect()),
            None => (text, Vec::new()),
        };
        let (name, file) = match named.split_once('=') {
            Some((name, file)) if !file.is_empty() => (name, Some(file.into())),
            Some(_) => return Err("expected a file after `=`, as in TOKEN=token.txt@HOST".into()),
            None => (named, None),
        };
        let hosts: Result<_, _> = hosts.into_iter().map(HostRule::from_str).collect();
        Ok(Self {
            name: name.to_owned(),
            file,
            hosts: hosts.map_err(|e| e.to_string())?,
        })
    }
}

impl SecretArg {
    /// Reads the secret and binds it to its hosts, or to the only host of `allowed`.
    pub(super) fn read(&self, allowed: &[HostRule]) -> anyhow::Result<Secret> {
        let name = &self.name;
        let hosts = match (&*self.hosts, allowed) {
            ([], [one]) => std::slice::from_ref(one),
            ([], _) => bail!(
                "the secret {name} is not bound to a host; name the host that may receive it, as in \
                 --secret {name}@api.example.com"
            ),
            (hosts, _) => hosts,
        };
        let value = match &self.file {
            None => std::env::var(name).map_err(|_| {
                anyhow::anyhow!(
                    "there is no variable {name} in the environment; set it, or give a file, as in \
                     --secret {name}=FILE@HOST"
                )
            })?,
            Some(file) => {
                let shown = file.display().to_string();
                let open = std::fs::File::open(file)
                    .with_context(|| format!("cannot open the secret's file {shown}"))?;
                let mut text = String::new();
                std::io::Read::read_to_string(
                    &mut std::io::Read::take(open, MAX_FILE_BYTES),
                    &mut text,
                )
                .with_context(|| format!("cannot read the secret's file {shown}"))?;
                text
            }
        };
        // Editors add a line break or a byte order mark, and shells leave spaces. Servers and HTTP remove them, so that the
        // value in a response would be another one than the value that is searched for.
        let value = value.trim_start_matches('\u{feff}').trim().to_owned();
        let (first, others) = hosts.split_first().context("a secret has a host")?;
        let secret = Secret::new(name, value, first.clone())?;
        Ok((others.iter().cloned()).fold(secret, Secret::also_for))
    }

    /// Returns the hosts of the argument.
    pub(super) fn hosts(&self) -> &[HostRule] {
        &self.hosts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_a_name_a_file_and_hosts() {
        let read = |text: &str| text.parse::<SecretArg>();
        let secret = read("TOKEN=a@b.txt@api.example.com,*.example.org:8443").unwrap();
        assert_eq!(secret.file, Some("a@b.txt".into()));
        assert_eq!(secret.hosts.len(), 2);
        assert_eq!(read("TOKEN").unwrap().hosts, []);
        for text in ["TOKEN=@x.org", "TOKEN@", "TOKEN@a b"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_secret_without_a_host_is_bound_to_the_only_allowed_one() {
        let secret: SecretArg = "PATH".parse().unwrap();
        let one: HostRule = "example.com".parse().unwrap();
        assert_eq!(
            secret.read(std::slice::from_ref(&one)).unwrap().hosts(),
            std::slice::from_ref(&one)
        );
        let many = [one.clone(), "example.org".parse().unwrap()];
        assert!(
            secret
                .read(&many)
                .unwrap_err()
                .to_string()
                .contains("PATH@")
        );
        let missing: SecretArg = "CODEACT_NO_SUCH_VARIABLE".parse().unwrap();
        assert!(
            missing
                .read(&[one])
                .unwrap_err()
                .to_string()
                .contains("no variable")
        );
    }
}
