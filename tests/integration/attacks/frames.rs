//! Forged interpreter frames for the host's traceback reader: numpy can write all guest memory.

use codeact::sandbox::{Outcome, Turn};

use crate::support::{block_on, limits, result, sandbox, shown};

/// Writes `VALUE` to word `FIELD` of the object `TARGET`, then loops.
const FORGE: &str = "
import sys
import numpy as np
x = np.zeros(2, np.uint32)
here = x.__array_interface__['data'][0]
def word(at):
    return np.lib.stride_tricks.as_strided(x, shape=(2,), strides=(at - here,))[1:]
def read(at):
    return int(word(at)[0])
def forge():
    frame = read(id(sys._getframe()) + 12)
    code = id(forge.__code__)
    name = id(forge.__code__.co_name)
    lines = id(forge.__code__.co_linetable)
    at = word(TARGET + 4 * FIELD)
    at[0] = VALUE
    while True: pass
forge()
";

/// Runs [`FORGE`] with a fuel budget. The host must return, and the session must be unchanged.
fn forged(target: &str, field: usize, value: &str) -> Outcome {
    let code = FORGE.replace("TARGET", target);
    let code = code.replace("FIELD", &field.to_string());
    let limits = limits(|limits| limits.fuel = Some(8_000_000));
    let turn = Turn::new(code.replace("VALUE", value)).limits(limits);
    let mut session = sandbox().session().unwrap();
    let kept = block_on(session.run("kept = 41")).unwrap();
    assert_eq!(kept.outcome, Outcome::Completed);
    let execution = block_on(session.run(turn)).unwrap();
    if let Some(traceback) = &execution.interrupted {
        // The traceback is bounded.
        assert!(traceback.frames.len() <= 40, "{}", shown(&execution));
        assert!(traceback.to_string().len() < 200_000);
    }
    let after = block_on(session.run("kept + 1")).unwrap();
    assert_eq!(result(&after), "42", "{target} {field} {value}");
    execution.outcome
}

const VALUES: [&str; 6] = ["0", "frame", "code", "0xffffffff", "here", "0x7ffffff0"];

#[test]
fn a_forged_frame_does_not_crash_or_block_the_host() {
    let mut stopped = 0;
    for field in 0..9 {
        for value in VALUES {
            let outcome = forged("frame", field, value);
            stopped += u32::from(matches!(outcome, Outcome::OutOfFuel { .. }));
        }
    }
    assert!(stopped > 20, "{stopped}");
}

#[test]
fn a_cycle_of_frames_terminates() {
    assert!(matches!(
        forged("frame", 1, "frame"),
        Outcome::OutOfFuel { .. }
    ));
}

#[test]
fn forged_code_objects_strings_and_tables_do_not_crash_the_host() {
    for (target, fields) in [("code", 30), ("name", 5), ("lines", 4)] {
        for field in 0..fields {
            for value in ["0", "0xffffffff", "frame", "0x7ffffff0"] {
                forged(target, field, value);
            }
        }
    }
}
