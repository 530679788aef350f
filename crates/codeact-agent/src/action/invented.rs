//! Where a reply that is still growing is: in code, in a text block, or in prose.

use super::blocks::scan;
use super::fence::CodeState;
use super::likeness::judge;
use super::reader::OpenBlock;
use super::text::normalise;

/// Returns true if `line`, which begins with `Observation:` and follows `reply`, is an observation that the model invents.
/// It is not if it is part of a string, of brackets, of a text block or of reasoning, or if it is an assignment.
pub(crate) fn is_invented(reply: &str, line: &str) -> bool {
    let judged = judge(line);
    if judged.assignments > 0 && judged.bad == 0 {
        return false;
    }
    let text = normalise(reply);
    let scan = scan(&text);
    if scan.ends_in_reasoning {
        return false;
    }
    match scan.open {
        Some(OpenBlock::Code) => true,
        Some(OpenBlock::Expression | OpenBlock::Text) => false,
        None => !ends_in_expression(&scan.prose()),
    }
}

/// Returns true if `reply` ends in code, in a block or bare.
pub(crate) fn is_in_code(reply: &str) -> bool {
    let text = normalise(reply);
    let scan = scan(&text);
    if scan.open.is_some() {
        return true;
    }
    let prose = scan.prose();
    let (whole, _) = prose.rsplit_once('\n').unwrap_or((&prose, ""));
    judge(whole).is_python() || ends_in_expression(&prose)
}

/// Returns true if bare code at the end of `prose` has an open string or bracket.
fn ends_in_expression(prose: &str) -> bool {
    let Some(at) = judge(prose).first_strong else {
        return false;
    };
    let code = &prose[at..];
    if !judge(code).is_python() {
        return false;
    }
    let mut state = CodeState::default();
    code.lines().for_each(|line| state.skip_line(line));
    !state.is_between_statements()
}
