//! Contents of replies that do not depend on the state of a kernel.

use serde_json::{Value, json};

use super::message::PROTOCOL_VERSION;

/// Returns the content of a `kernel_info_reply`.
pub(super) fn kernel_info(python: &str) -> Value {
    json!({
        "status": "ok",
        "protocol_version": PROTOCOL_VERSION,
        "implementation": "codeact",
        "implementation_version": env!("CARGO_PKG_VERSION"),
        "language_info": {
            "name": "python",
            "version": python,
            "mimetype": "text/x-python",
            "codemirror_mode": { "name": "ipython", "version": 3 },
            "pygments_lexer": "ipython3",
            "nbconvert_exporter": "python",
            "file_extension": ".py",
        },
        "banner": format!("Python {python} in a codeact sandbox"),
        "help_links": [],
        "debugger": false,
        "supported_features": [],
    })
}

/// Returns the content of a reply for an error without a traceback.
pub(super) fn error_content(name: &str, why: &str) -> Value {
    json!({
        "status": "error",
        "ename": name,
        "evalue": why,
        "traceback": [format!("{name}: {why}")],
    })
}
