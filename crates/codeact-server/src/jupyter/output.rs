//! Publishing of what running code writes and shows.

use std::sync::Arc;
use std::time::Duration;

use codeact::event::{Event, Stream};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::kernel::Kernel;

/// Time for which output is collected, so that many small writes are few messages.
const COLLECT_TIME: Duration = Duration::from_millis(10);
/// Size of collected output that is published at once, in bytes.
const COLLECT_BYTES: usize = 64 << 10;

/// Removes the media types that no client of Jupyter knows. Some print what they do not know.
pub(crate) fn remove_own_types(data: &mut Map<String, Value>) {
    data.retain(|kind, _| !kind.starts_with("application/vnd.codeact."));
}

/// Publishes the output of one execution.
pub(super) struct Publisher<'a> {
    kernel: &'a Kernel,
    parent: &'a Arc<Value>,
    /// The number of the execution; `None` if it is silent, and shows no result.
    count: Option<u64>,
    collected: Option<(Stream, String, Instant)>,
    has_result: bool,
}

impl<'a> Publisher<'a> {
    pub(super) fn new(kernel: &'a Kernel, parent: &'a Arc<Value>, count: Option<u64>) -> Self {
        Self {
            kernel,
            parent,
            count,
            collected: None,
            has_result: false,
        }
    }

    /// Returns the time at which collected output must be published.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.collected
            .as_ref()
            .map(|(_, _, since)| *since + COLLECT_TIME)
    }

    /// True if collected output must be published now.
    pub(super) fn is_due(&self) -> bool {
        self.deadline()
            .is_some_and(|deadline| deadline <= Instant::now())
    }

    /// Publishes `event`, or collects it.
    pub(super) fn event(&mut self, event: Event) {
        match event {
            Event::Output { stream, text } => self.output(stream, &text),
            Event::Bundle {
                is_result,
                mut data,
                metadata,
            } => {
                self.flush();
                remove_own_types(&mut data);
                let content = json!({ "data": data, "metadata": metadata, "transient": {} });
                match is_result {
                    true => self.result(content),
                    false => self.kernel.publish(self.parent, "display_data", content),
                }
            }
            _ => {}
        }
    }

    /// Publishes the text of a result that was not shown as a bundle.
    pub(super) fn text_result(&mut self, text: &str) {
        self.flush();
        if !self.has_result {
            self.result(json!({ "data": { "text/plain": text }, "metadata": {} }));
        }
    }

    /// Publishes a line on stderr.
    pub(super) fn warn(&mut self, text: &str) {
        self.output(Stream::Stderr, &format!("{text}\n"));
        self.flush();
    }

    /// Publishes collected output.
    pub(super) fn flush(&mut self) {
        let Some((stream, text, _)) = self.collected.take() else {
            return;
        };
        let name = match stream {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        };
        let content = json!({ "name": name, "text": text });
        self.kernel.publish(self.parent, "stream", content);
    }

    fn output(&mut self, stream: Stream, text: &str) {
        if self
            .collected
            .as_ref()
            .is_some_and(|(known, ..)| *known != stream)
        {
            self.flush();
        }
        let (_, collected, _) =
            (self.collected).get_or_insert_with(|| (stream, String::new(), Instant::now()));
        collected.push_str(text);
        if collected.len() >= COLLECT_BYTES {
            self.flush();
        }
    }

    fn result(&mut self, mut content: Value) {
        self.has_result = true;
        if let Some(count) = self.count {
            content["execution_count"] = count.into();
            self.kernel.publish(self.parent, "execute_result", content);
        }
    }
}
