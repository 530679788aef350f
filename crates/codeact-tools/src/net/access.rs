//! Network access as [`Tools`] sees it.

use std::sync::Arc;

use codeact_base::redact::Redactor;
use codeact_sandbox::{ToolCall, ToolReply};

use super::client::Connections;
use super::rules::HostRule;
use super::{Network, calls};
use crate::source::{BoxFuture, NetworkAccess, OpenNetwork};
use crate::tools::Tools;

impl Tools {
    /// Lets the code make HTTP and HTTPS requests, with `urllib`, `http.client` and libraries that are built on them,
    /// to the hosts that `network` names. Default: none.
    #[must_use]
    pub fn network(mut self, network: Network) -> Self {
        self.set_network(Arc::new(network));
        self
    }
}

impl NetworkAccess for Network {
    fn env(&self) -> Vec<(String, String)> {
        let secrets = self.secrets().iter();
        secrets
            .map(|secret| (secret.name().to_owned(), secret.placeholder()))
            .collect()
    }

    fn about(&self) -> String {
        let names = |rules: &[HostRule]| {
            let names: Vec<_> = rules.iter().map(ToString::to_string).collect();
            names.join(", ")
        };
        let mut text = format!(
            "The code may make HTTP and HTTPS requests, with urllib.request, to these hosts only: {}.",
            names(self.rules())
        );
        for secret in self.secrets() {
            text += &format!(
                " os.environ[{:?}] stands for a secret: put it where the secret belongs in requests to \
                 {}; elsewhere it means nothing.",
                secret.name(),
                names(secret.hosts())
            );
        }
        text
    }

    fn open(&self) -> Arc<dyn OpenNetwork> {
        Arc::new(TurnNetwork {
            connections: self.open(),
            redactor: (!self.secrets().is_empty()).then(|| self.redactor()),
        })
    }
}

/// Network access of one turn.
struct TurnNetwork {
    connections: Connections,
    /// `None` if there are no secrets.
    redactor: Option<Redactor>,
}

impl OpenNetwork for TurnNetwork {
    fn call(self: Arc<Self>, call: ToolCall) -> BoxFuture<ToolReply> {
        Box::pin(async move { calls::call(&self.connections, call).await })
    }

    fn redact(&self, reply: ToolReply) -> ToolReply {
        let Some(redactor) = &self.redactor else {
            return reply;
        };
        match reply {
            ToolReply::Done(payload) => ToolReply::Done(
                payload.map_text(&|text| redactor.text(text).into_owned(), &|bytes| {
                    redactor.bytes(bytes)
                }),
            ),
            ToolReply::Failed { kind, message } => {
                ToolReply::of(kind, redactor.text(&message).into_owned())
            }
        }
    }
}
