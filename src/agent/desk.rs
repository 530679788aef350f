//! Where an agent works.

use crate::sandbox::Session;
use crate::sessions::NamedSession;

/// Where the code of a run works: its session, and whether the input lies there.
pub(super) struct Desk<'a> {
    pub(super) place: Place<'a>,
    pub(super) has_input: bool,
}

pub(super) enum Place<'a> {
    Given(&'a mut Session),
    Named(&'a mut NamedSession),
}

impl<'a> Desk<'a> {
    pub(super) fn new(place: Place<'a>) -> Self {
        Self {
            place,
            has_input: false,
        }
    }

    pub(super) fn session(&mut self) -> &mut Session {
        match &mut self.place {
            Place::Given(session) => session,
            Place::Named(kept) => &mut kept.session,
        }
    }
}
