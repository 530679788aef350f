//! Replies with fences and tags, in the shapes that models send.

use super::super::{Action, Mode, parse};
use super::Want::{Answer, Code, CodeAndProse};
use super::check;

#[test]
fn fences_in_all_known_forms_are_code() {
    check(
        Mode::Agent,
        &[
            (
                "gpt",
                "I'll add them.\n\n```python\nprint(1 + 2)\n```",
                CodeAndProse("print(1 + 2)", "I'll add them."),
            ),
            (
                "prose on both sides",
                "First.\n```py\nx = 1\n```\nThen I'll see.",
                CodeAndProse("x = 1", "First.\nThen I'll see."),
            ),
            ("capital", "```Python\nx = 1\n```", Code("x = 1")),
            ("python3", "```python3\nx = 1\n```", Code("x = 1")),
            (
                "pandoc",
                "```{.python .numberLines}\nx = 1\n```",
                Code("x = 1"),
            ),
            (
                "gemini tool_code",
                "```tool_code\nprint(search(\"a\"))\n```",
                Code("print(search(\"a\"))"),
            ),
            ("ipython", "``` ipython\nx = 1\n```", Code("x = 1")),
            (
                "title",
                "```python title=\"a.py\"\nx = 1\n```",
                Code("x = 1"),
            ),
            ("tildes", "~~~python\nx = 1\n~~~", Code("x = 1")),
            (
                "longer",
                "````python\ns = '```'\n```\n````",
                Code("s = '```'\n```"),
            ),
            (
                "no language",
                "```\nimport math\nprint(math.pi)\n```",
                Code("import math\nprint(math.pi)"),
            ),
            (
                "no language, one assignment",
                "```\nx = 5\n```",
                Code("x = 5"),
            ),
            (
                "indented in a list",
                "1. Do it:\n\n   ```python\n   for i in x:\n       print(i)\n   ```",
                CodeAndProse("for i in x:\n    print(i)", "1. Do it:"),
            ),
            (
                "mid-line",
                "Here it is: ```python\nprint(1)\n```",
                CodeAndProse("print(1)", "Here it is:"),
            ),
            ("one line", "```python print(1)```", Code("print(1)")),
            (
                "glued end",
                "```python\nprint(1)```\nDone",
                CodeAndProse("print(1)", "Done"),
            ),
            (
                "cut at the stop sequence",
                "Sum:\n```python\nprint(1)\n",
                CodeAndProse("print(1)", "Sum:"),
            ),
            (
                "a second opener in place of a closer",
                "```python\na = 1\n```python\nb = 2\n```",
                Code("a = 1\n\nb = 2"),
            ),
            (
                "two blocks",
                "A\n```python\na = 1\n```\nB\n```python\nb = 2\n```",
                CodeAndProse("a = 1\n\nb = 2", "A\nB"),
            ),
            (
                "output is skipped",
                "```python\na()\n```\nprints\n```text\n3\n```",
                CodeAndProse("a()", "prints"),
            ),
            (
                "json beside python",
                "```json\n{\"a\": 1}\n```\n```python\na()\n```",
                Code("a()"),
            ),
            (
                "doctest",
                "```python\n>>> x = 1\n>>> if x:\n...     print(x)\n...\n1\n```",
                Code("x = 1\nif x:\n    print(x)"),
            ),
            (
                "markdown around",
                "```markdown\n# Plan\n```python\nx = 1\n```\n```",
                Code("x = 1"),
            ),
            (
                "no-break spaces",
                "\u{feff}```python\nif x:\n\u{a0}\u{a0}\u{a0}\u{a0}y\u{200b}()\n```",
                Code("if x:\n    y()"),
            ),
            (
                "smolagents",
                "Thought: I add.\nCode:\n```py\nprint(1)\n```<end_code>",
                Code("print(1)"),
            ),
            (
                "end_code without a fence",
                "```py\nprint(1)\n<end_code>",
                Code("print(1)"),
            ),
            (
                "eos",
                "```python\nprint(1)\n```<|im_end|>\n<|im_start|>user",
                Code("print(1)"),
            ),
        ],
    );
}

#[test]
fn a_fence_inside_a_string_is_text() {
    let inner = "s = \"\"\"\n```\nx\n```\n\"\"\"\nprint(s)";
    let readme = "s = '''# A\n```bash\npip\n```\n```python\nx\n```\n'''";
    for code in [inner, readme] {
        let got = parse(&format!("```python\n{code}\n```\nDone"), Mode::Agent);
        assert_eq!(
            got,
            Action::Code {
                source: code.into(),
                said: "Done".into()
            }
        );
    }
    check(
        Mode::Agent,
        &[
            (
                "string never closed",
                "```python\ns = \"\"\"\n```\nThat's it.",
                CodeAndProse("s = \"\"\"", "That's it."),
            ),
            (
                "closed only by the next block",
                "```python\na = '''\n```\nAnd\n```python\nb = '''x'''\n```",
                Code("a = '''\n\nb = '''x'''"),
            ),
            (
                "bare, with a fence inside",
                "s = '''\n```\nx\n```\n'''\nprint(s)",
                Code("s = '''\n```\nx\n```\n'''\nprint(s)"),
            ),
            (
                "think inside",
                "```python\nt.split('</think>')\n```",
                Code("t.split('</think>')"),
            ),
        ],
    );
}

#[test]
fn tags_are_code() {
    check(
        Mode::Agent,
        &[
            ("code", "<code>\nprint(1)\n</code>", Code("print(1)")),
            (
                "codeact",
                "I'll look. <execute> print('a') </execute> Wait",
                CodeAndProse("print('a')", "I'll look.  Wait"),
            ),
            ("python", "<python>\nx = 1\n</python>", Code("x = 1")),
            (
                "llama",
                "<|python_tag|>print(1)<|eom_id|>",
                Code("print(1)"),
            ),
            (
                "unclosed",
                "Go\n<execute>\nprint(1)\n",
                CodeAndProse("print(1)", "Go"),
            ),
            (
                "a tag in a string",
                "<code>\nprint('</code>')\n</code>",
                Code("print('</code>')"),
            ),
            (
                "an apostrophe",
                "<execute>print('it's')</execute>",
                Code("print('it's')"),
            ),
            (
                "a fence inside",
                "<code>\n```python\nprint(1)\n```\n</code>",
                Code("print(1)"),
            ),
            (
                "tags inside a fence",
                "```python\n<code>\nprint(1)\n</code>\n```",
                Code("print(1)"),
            ),
            (
                "html in prose",
                "Use <code>x</code> for it.",
                Answer("Use <code>x</code> for it."),
            ),
        ],
    );
}
