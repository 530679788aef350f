//! State of the host calls during one turn, and the requests that need only this state.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::hostcall::bundles::BUNDLE;
use crate::hostcall::frames::refusal;
use crate::hostcall::services::HostServices;
use crate::hostcall::turn_frames::TurnEnd;
use crate::types::bundle::Bundle;
use crate::types::display::Display;
use crate::types::limits::Limits;

// Request frames. `BOOT` and `BEGIN` are matched exactly; the others are prefixes.
const BOOT: &[u8] = br#"{"op":"boot"}"#;
const BEGIN: &[u8] = br#"{"op":"begin"}"#;
const END: &[u8] = br#"{"op":"end""#;
/// A picture, or a rich form of a value.
const DISPLAY: &[u8] = br#"{"op":"display""#;
/// Followed by a descriptor, optionally `,"to":` and the number of the copy, and `}`.
pub(super) const DUP: &[u8] = br#"{"op":"dup","fd":"#;

/// Limit of the displays of a turn.
const MAX_DISPLAYS: usize = 100;

#[derive(Deserialize)]
struct DisplayFrame<'a> {
    #[serde(rename = "op")]
    _op: IgnoredAny,
    mime: &'a str,
    data: &'a str,
}

/// State of the host calls during one turn.
#[derive(Debug, Default)]
pub(crate) struct HostCalls {
    /// The boot frame or the turn frame, until the guest requests it.
    pub(crate) pending: Option<Vec<u8>>,
    pub(crate) ended: Option<TurnEnd>,
    pub(crate) displays: Vec<Display>,
    /// True if everything that the turn shows is a bundle.
    pub(crate) is_rich: bool,
    pub(crate) bundles: Vec<Bundle>,
    /// Number of JSON values in `bundles`.
    pub(super) bundle_values: usize,
    pub(crate) services: HostServices,
    pub(crate) calls: u64,
    pub(crate) bytes: u64,
    max_calls: u64,
    max_bytes: u64,
}

impl HostCalls {
    pub(crate) fn new(limits: &Limits, pending: Vec<u8>, services: HostServices) -> Self {
        Self {
            pending: Some(pending),
            services,
            max_calls: limits.host_calls,
            max_bytes: limits.host_call_bytes,
            ..Self::default()
        }
    }

    /// Returns the answer to `frame`.
    pub(super) fn serve(&mut self, frame: &[u8]) -> Vec<u8> {
        self.counted(frame, |calls| calls.answer(frame))
    }

    /// Counts a frame and its answer, and returns the answer; a refusal if `answer` returns `None`.
    pub(super) fn counted(
        &mut self,
        frame: &[u8],
        answer: impl FnOnce(&mut Self) -> Option<Vec<u8>>,
    ) -> Vec<u8> {
        self.calls += 1;
        self.bytes += frame.len() as u64;
        let answer = answer(self).unwrap_or_else(|| self.refuse());
        self.bytes += answer.len() as u64;
        answer
    }

    fn answer(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        // The two calls of the runner are part of every turn, so they pass without a budget, once each.
        if frame == BEGIN || frame == BOOT {
            self.pending.take()
        } else if self.ended.is_none() && frame.starts_with(END) {
            Some(match TurnEnd::read(frame) {
                Ok(end) => {
                    self.ended = Some(end);
                    b"{}".to_vec()
                }
                Err(why) => refusal(&why),
            })
        } else if frame.starts_with(DISPLAY) && self.has_budget() {
            Some(match self.take_display(frame) {
                Ok(()) => b"{}".to_vec(),
                Err(why) => refusal(&why),
            })
        } else if self.is_rich && frame.starts_with(BUNDLE) && self.has_budget() {
            Some(match self.take_bundle(frame) {
                Ok(()) => b"{}".to_vec(),
                Err(why) => refusal(&why),
            })
        } else {
            None
        }
    }

    /// Returns true if the limits allow this call.
    pub(super) fn has_budget(&self) -> bool {
        self.calls <= self.max_calls && self.bytes <= self.max_bytes
    }

    fn take_display(&mut self, frame: &[u8]) -> Result<(), String> {
        let frame: DisplayFrame =
            serde_json::from_slice(frame).map_err(|e| format!("this is not a display: {e}"))?;
        let bytes = STANDARD
            .decode(frame.data)
            .map_err(|e| format!("the data is not base64: {e}"))?;
        self.show(frame.mime, bytes)
    }

    /// Adds a display.
    pub(super) fn show(&mut self, mime: &str, bytes: Vec<u8>) -> Result<(), String> {
        if self.displays.len() >= MAX_DISPLAYS {
            return Err(format!("a turn can show at most {MAX_DISPLAYS} displays"));
        }
        let display = Display::new(&self.displays, mime, bytes)?;
        if self.is_rich {
            self.bundle_display(&display)?;
        }
        self.displays.push(display);
        Ok(())
    }

    /// Returns the refusal of a request that is over a limit or unknown.
    pub(super) fn refuse(&self) -> Vec<u8> {
        if self.calls > self.max_calls {
            refusal(&format!(
                "this turn's limit of {} calls to the host is used up",
                self.max_calls
            ))
        } else if self.bytes > self.max_bytes {
            refusal(&format!(
                "this turn's limit of {} bytes in calls to the host is used up",
                self.max_bytes
            ))
        } else {
            refusal("the host does not know this request")
        }
    }
}
