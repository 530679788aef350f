//! The text that a user sees at the start.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// How clients identify themselves.
pub(super) enum Access {
    /// By this token of the only tenant.
    Token(String),
    /// By the tokens of a file, of so many tenants.
    File(usize),
    /// Not at all.
    Open,
}

/// Facts for the text.
pub(super) struct Banner<'a> {
    pub(super) address: SocketAddr,
    pub(super) access: &'a Access,
    /// Folder of the sessions; `None` if it is temporary.
    pub(super) state: Option<&'a std::path::Path>,
    pub(super) python: &'a str,
}

/// Returns the URL of the server for clients on this machine.
pub(super) fn url(address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, address.port()))
}

impl Banner<'_> {
    /// Returns the text, whose first line has the URL and nothing else behind it.
    pub(super) fn text(&self) -> String {
        let url = url(self.address);
        let (token, note) = match self.access {
            Access::Token(token) => (token.as_str(), format!("token  {token}")),
            Access::File(1) => (
                "$TOKEN",
                "token  that of the tenant in the token file".into(),
            ),
            Access::File(count) => (
                "$TOKEN",
                format!("token  those of {count} tenants in the token file"),
            ),
            Access::Open => (
                "none",
                "token  none: every program on this machine can use it".into(),
            ),
        };
        let state = match self.state {
            Some(folder) => folder.display().to_string(),
            None => "temporary: sessions end with the server".into(),
        };
        let listening = match self.address.ip().is_unspecified() {
            true => format!(
                "\n  address  all of this machine, port {}",
                self.address.port()
            ),
            false => String::new(),
        };
        let is_open = matches!(self.access, Access::Open);
        let header = if is_open {
            String::new()
        } else {
            format!(" -H 'Authorization: Bearer {token}'")
        };
        let query = if is_open {
            String::new()
        } else {
            format!("?token={token}")
        };
        format!(
            "codeact serves {python} on {url}\n\
             \x20 {note}\n\
             \x20 state  {state}{listening}\n\
             \n\
             Run code:\n\
             \x20 curl {url}/v1/execute{header} --json '{{\"code\": \"print(6 * 7)\"}}'\n\
             E2B's SDKs, and what is built on them:\n\
             \x20 export E2B_API_URL={url} E2B_SANDBOX_URL={url} E2B_API_KEY={token}\n\
             Jupyter clients, such as Open WebUI:\n\
             \x20 {url}/{query}\n\
             \n\
             All routes: {url}/docs    Stop: Ctrl-C\n",
            python = self.python,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_of_a_wildcard_address_can_be_opened() {
        let of = |text: &str| url(text.parse().unwrap());
        assert_eq!(of("0.0.0.0:80"), "http://127.0.0.1:80");
        assert_eq!(of("[::]:80"), "http://[::1]:80");
        assert_eq!(of("192.0.2.1:8642"), "http://192.0.2.1:8642");
    }
}
