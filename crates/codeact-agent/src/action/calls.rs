//! Reads calls of tools in the markups of models and chat templates.
//!
//! The markups differ in their marks, and agree in the order of their parts: a name, then arguments as JSON, as marked
//! parameters or as text. So one loop reads all of them. Marks without a meaning of their own are separators.

use serde_json::Value;

use super::call::{Call, MAX_NAME_BYTES, is_code_tool};
use super::call_parts::{ARGUMENTS, Building, KEYS, NAMES, PARAMETERS, text_argument};
use super::fence::{Closer, fence_opener, find_mark};
use super::json;
use super::language::Language;
use super::likeness::judge;
use super::loose_json;
use super::marks::{Mark, mark};
use super::pythonic::{is_name_part, pythonic_call};
use super::reader::{OpenBlock, Reader};

/// Reads the calls after the mark `open` at offset `at`. Returns them and the offset after them. `None` if the text is
/// not a call, as in a mention of the mark.
pub(super) fn read(
    reader: &mut Reader<'_>,
    at: usize,
    open: &Mark<'_>,
) -> Option<(Vec<Call>, usize)> {
    if !reader.may_read_again() {
        return None;
    }
    let closer = Closer::Mark(open.name.clone());
    let mut calls = CallReader::new(reader, at + open.len, closer, open.value);
    calls.run();
    let (end, calls) = (calls.at, calls.calls);
    if calls.is_empty() {
        reader.open = None;
        reader.read_again(end - at);
        return None;
    }
    Some((calls, end))
}

/// Reads the arguments of a call of `name`, at offset `at`: JSON, a fence, or text up to `closer`. Returns the call and the
/// offset after it.
pub(super) fn read_arguments(
    reader: &mut Reader<'_>,
    at: usize,
    name: &str,
    closer: Closer,
) -> (Call, usize) {
    let at = reader.skip_blanks(at);
    let mut calls = CallReader::new(reader, at, closer, Some(name));
    calls.arguments_or_text();
    let call = calls.building.finish(true).or_else(|| calls.calls.pop());
    let end = calls.at;
    let call = call.unwrap_or_else(|| Call {
        name: name.to_owned(),
        arguments: Value::Null,
        is_complete: false,
    });
    (call, end)
}

struct CallReader<'r, 'a> {
    reader: &'r mut Reader<'a>,
    at: usize,
    closer: Closer,
    building: Building,
    calls: Vec<Call>,
    /// True after the opening mark of a further call, until its arguments begin.
    is_opened: bool,
}

impl<'r, 'a> CallReader<'r, 'a> {
    fn new(reader: &'r mut Reader<'a>, at: usize, closer: Closer, name: Option<&str>) -> Self {
        let building = Building {
            name: name.map(str::to_owned),
            ..Building::default()
        };
        Self {
            reader,
            at,
            closer,
            building,
            calls: Vec::new(),
            is_opened: false,
        }
    }

    fn rest(&self) -> &'a str {
        &self.reader.text[self.at..]
    }

    fn finish(&mut self, is_complete: bool) {
        self.is_opened = false;
        self.calls.extend(self.building.finish(is_complete));
    }

    /// Finishes the call that is being read, if it has arguments.
    fn finish_arguments(&mut self) {
        if self.building.has_arguments() {
            self.finish(true);
        }
    }

    fn run(&mut self) {
        loop {
            let rest = self.rest();
            let text = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',' || c == ';');
            self.at += rest.len() - text.len();
            let is_further = !self.calls.is_empty() && !self.is_opened;
            let has_call = is_further || self.building.has_arguments();
            if text.is_empty() {
                break;
            }
            if let Some(mark) = mark(text) {
                if mark.ends_message() || mark.is_reasoning() || !self.mark(&mark) {
                    break;
                }
            } else if text.starts_with(['{', '[']) {
                if !self.pythonic_calls() && !self.json() {
                    return;
                }
            } else if text.starts_with("```") && !has_call {
                if !(self.fence() || self.text()) {
                    break;
                }
            } else if self.is_code_tool() && !has_call {
                if !self.text() {
                    break;
                }
            } else if !self.pythonic_calls() {
                let is_next = has_call && self.begins_named_call(text);
                if is_next {
                    self.finish(true);
                }
                if has_call && !is_next || !(self.name() || self.text()) {
                    break;
                }
            }
        }
        self.finish(true);
    }

    /// Returns true if the call that is being read is one of a code tool.
    fn is_code_tool(&self) -> bool {
        let name = self.building.name.as_deref();
        matches!(self.closer, Closer::Mark(_)) && name.is_some_and(is_code_tool)
    }

    /// Returns true if `text` begins with the name of a code tool and its arguments, as after `python{…}, `.
    fn begins_named_call(&self, text: &str) -> bool {
        let end = text.find(|c: char| !c.is_ascii_alphanumeric() && !"_.:-".contains(c));
        let end = end.filter(|end| *end <= MAX_NAME_BYTES).unwrap_or(0);
        text[end..].starts_with('{') && is_code_tool(&text[..end])
    }

    /// Reads a mark. Returns false if it ends the calls.
    fn mark(&mut self, mark: &Mark<'a>) -> bool {
        let name = &*mark.name;
        let is_closer = mark.closes && matches!(&self.closer, Closer::Mark(open) if open == name);
        if mark.closes {
            self.at += mark.len;
            if mark.is_call() || name == "function" {
                self.finish(true);
            }
            return !is_closer;
        }
        self.at += mark.len;
        if KEYS.contains(&name) {
            self.building.key = self.text_of(mark).map(str::to_owned);
        } else if NAMES.contains(&name) && mark.value.is_none() {
            self.building.name = self.text_of(mark).map(str::to_owned);
        } else if name == "call_id" {
            let id = self.rest().trim_start();
            let end = id.find(['[', '{']).unwrap_or(0);
            self.at = self.reader.text.len() - id.len() + end;
        } else if ARGUMENTS.contains(&name)
            || PARAMETERS.contains(&name)
            || (mark.is_code() && !mark.is_token)
        {
            self.parameter(mark);
        } else if mark.is_code() {
            self.building.name.get_or_insert_with(|| "python".into());
        } else if mark.is_call() {
            self.finish(true);
            self.is_opened = true;
            self.building.name = mark.value.map(str::to_owned);
        }
        true
    }

    /// Returns the short text up to the next mark, which is skipped if it closes `mark`.
    fn text_of(&mut self, mark: &Mark<'_>) -> Option<&'a str> {
        let rest = self.rest();
        let window = &rest[..rest.floor_char_boundary(2 * MAX_NAME_BYTES)];
        let (end, next) = find_mark(window, |_| true)?;
        let is_closer = next.closes && next.name == mark.name;
        self.at += end + if is_closer { next.len } else { 0 };
        let text = window[..end].trim();
        (text.len() <= MAX_NAME_BYTES && !text.is_empty()).then_some(text)
    }

    /// Reads the value of a parameter, or of all arguments.
    fn parameter(&mut self, mark: &Mark<'_>) {
        let is_all = ARGUMENTS.contains(&&*mark.name) && mark.value.is_none();
        if is_all && self.rest().trim_start().starts_with(['{', '[', '<']) {
            // Its content is read as what follows. The mark is a separator.
            return;
        }
        let end = self
            .reader
            .body(self.at, &Closer::Mark(mark.name.clone()), true);
        let text = &self.reader.text[self.at..end.body];
        self.at = end.next;
        if is_all {
            self.building.arguments = Some(Value::String(text.to_owned()));
            return;
        }
        let key = mark
            .value
            .map(str::to_owned)
            .or_else(|| self.building.key.take());
        let key = key.unwrap_or_else(|| match mark.is_code() {
            true => "code".into(),
            false => mark.name.clone(),
        });
        if mark.is_code() && mark.value.is_none() {
            self.building.name.get_or_insert_with(|| "python".into());
        }
        self.building
            .members
            .insert(key, Value::String(text.to_owned()));
    }

    /// Reads JSON: arguments, or calls. Returns false if it has no end.
    fn json(&mut self) -> bool {
        let Some(read) = loose_json::read(self.rest()) else {
            return false;
        };
        let is_left = read.is_complete || self.reader.read_again(read.end);
        self.at += read.end;
        self.is_opened = false;
        let is_named = self.building.name.is_some() && !self.building.has_arguments();
        let calls = json::calls(&read.value, read.is_complete);
        if is_named && calls.iter().all(|call| call.name.is_empty()) {
            self.building.arguments = Some(read.value);
            if read.is_complete {
                return true;
            }
            self.finish(false);
        } else {
            self.finish_arguments();
            self.calls.extend(calls);
            if read.is_complete {
                return true;
            }
        }
        // The end of a value that is not JSON is not known: it is at the closing mark, if there is one.
        if is_left && self.at < self.reader.text.len() {
            self.at = self.reader.body(self.at, &self.closer, false).next;
        } else {
            self.at = self.reader.text.len();
            self.reader.open = Some(OpenBlock::Expression);
        }
        false
    }

    /// Reads a fence with arguments or code. Returns false if there is none.
    fn fence(&mut self) -> bool {
        let (line, next) = self.reader.line(self.at);
        let Some(opener) = fence_opener(line, 0) else {
            return false;
        };
        let start = (self.at + opener.body).min(next);
        let end = self
            .reader
            .body(start, &opener.closer, opener.language.may_be_python());
        let body = &self.reader.text[start..end.body];
        self.at = end.next;
        self.is_opened = false;
        let json = loose_json::read(body.trim());
        match json.filter(|json| json.is_complete) {
            Some(json)
                if !matches!(opener.language, Language::Python) || json.value.is_object() =>
            {
                let calls = json::calls(&json.value, true);
                if self.building.name.is_some() && calls.iter().all(|call| call.name.is_empty()) {
                    self.building.arguments = Some(json.value);
                } else {
                    self.calls.extend(calls);
                }
            }
            _ => {
                self.building.name.get_or_insert_with(|| "python".into());
                self.building
                    .members
                    .insert("code".into(), Value::String(body.to_owned()));
            }
        }
        true
    }

    /// Reads the name of a tool, as in `functions.python:0<|sep|>{…}`. Returns false if there is none.
    fn name(&mut self) -> bool {
        if self.building.name.is_some() {
            return false;
        }
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"_.:-".contains(c));
        let end = end.unwrap_or(rest.len());
        let after = rest[end..].trim_start_matches([' ', '\t']);
        let is_name = (1..=MAX_NAME_BYTES).contains(&end)
            && (after.is_empty()
                || after.starts_with(['\n', '{'])
                || after.starts_with("```")
                || mark(after).is_some());
        if !is_name {
            return false;
        }
        self.at += end;
        let word = &rest[..end];
        // DeepSeek writes the kind of the tool before its name.
        if word != "function" {
            self.building.name = Some(word.strip_prefix("call:").unwrap_or(word).to_owned());
        }
        true
    }

    /// Reads text up to the closer: the code of a call, or bare code. Returns false if it is neither.
    fn text(&mut self) -> bool {
        let end = self.reader.body(self.at, &self.closer, true);
        let text = &self.reader.text[self.at..end.body];
        if self.building.name.is_none() {
            if !judge(text).is_python() {
                self.reader.read_again(text.len());
                return false;
            }
            self.building.name = Some("python".into());
        }
        self.at = end.next;
        self.building.arguments = Some(text_argument(text));
        self.finish(true);
        false
    }

    fn arguments_or_text(&mut self) {
        let rest = self.rest();
        if rest.starts_with("```") && self.fence() {
            return;
        }
        if rest.starts_with('{') {
            match loose_json::read(rest) {
                Some(read) if read.is_complete => {
                    self.at += read.end;
                    self.building.arguments = Some(read.value);
                    return;
                }
                read => {
                    self.reader.read_again(read.map_or(0, |read| read.end));
                }
            }
        }
        let end = self.reader.body(self.at, &self.closer, true);
        let text = &self.reader.text[self.at..end.body];
        self.at = end.next;
        if !text.trim().is_empty() {
            self.building.arguments = Some(text_argument(text));
        }
    }

    /// Reads calls in the form of Python: `[python(code="…")]`. Returns false if there are none.
    fn pythonic_calls(&mut self) -> bool {
        let rest = self.rest();
        if !self.reader.may_read_again() {
            return false;
        }
        let list = rest.strip_prefix('[').map(str::trim_start);
        let mut text = list.unwrap_or(rest);
        let mut calls = Vec::new();
        while let Some((call, after)) = pythonic_call(text) {
            calls.push(call);
            text = after.trim_start();
            text = text.strip_prefix(',').map_or(text, str::trim_start);
        }
        if calls.is_empty() {
            // A string without an end is read up to the end of the text.
            if text.trim_start_matches(is_name_part).starts_with('(') {
                self.reader.read_again(text.len());
            }
            return false;
        }
        if list.is_some() {
            text = text.strip_prefix(']').unwrap_or(text);
        }
        self.finish_arguments();
        self.calls.extend(calls);
        self.is_opened = false;
        self.at = self.reader.text.len() - text.len();
        true
    }
}
