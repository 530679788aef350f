//! Replies without a fence, with reasoning, JSON or invented results, and single programs.

use super::super::{Action, MAX_REPLY_BYTES, Mode, parse};
use super::Want::{Answer, Code, CodeAndProse, Unreadable};
use super::check;

#[test]
fn bare_python_is_distinguished_from_prose() {
    check(
        Mode::Agent,
        &[
            (
                "import",
                "import math\nprint(math.sqrt(2))",
                Code("import math\nprint(math.sqrt(2))"),
            ),
            (
                "final answer",
                "final_answer(\"Laptop B\")",
                Code("final_answer(\"Laptop B\")"),
            ),
            (
                "main",
                "def main():\n    return 'a b'\n\nif __name__ == \"__main__\":\n    print(main())",
                Code(
                    "def main():\n    return 'a b'\n\nif __name__ == \"__main__\":\n    print(main())",
                ),
            ),
            (
                "call",
                "rows = search(\"a\", limit=3)",
                Code("rows = search(\"a\", limit=3)"),
            ),
            (
                "nested quotes",
                "print(f\"{d[\"a b\"]} it's {x!r:>8}\")",
                Code("print(f\"{d[\"a b\"]} it's {x!r:>8}\")"),
            ),
            (
                "lost opening fence",
                "python\nprint(1)\n```\nThis prints 1.",
                Code("print(1)"),
            ),
            (
                "prose, then bare code",
                "The answer is 5.\nfinal_answer(5)",
                CodeAndProse("final_answer(5)", "The answer is 5."),
            ),
            (
                "mixed",
                "import os\nThe code prints.\nprint(2)\nDone with it.",
                Unreadable("mixes Python and prose"),
            ),
            (
                "semicolons",
                "import os; x = 1; print(x)",
                Code("import os; x = 1; print(x)"),
            ),
            ("soft keyword", "match = f(1)", Code("match = f(1)")),
            (
                "header over lines",
                "def f(\n    a,\n):\n    return a\nf(0.1.hex())",
                Code("def f(\n    a,\n):\n    return a\nf(0.1.hex())"),
            ),
            ("answer", "The answer is 5", Answer("The answer is 5")),
            (
                "equation in prose",
                "Laptop B is best: score = 87",
                Answer("Laptop B is best: score = 87"),
            ),
            ("equation", "x = 5", Answer("x = 5")),
            ("formula", "F = m * a", Answer("F = m * a")),
            (
                "list",
                "- apples\n- pears (ripe)\n* 3 plums",
                Answer("- apples\n- pears (ripe)\n* 3 plums"),
            ),
            ("number", "42\n", Answer("42")),
            ("heading", "# Result\n\nParis", Answer("# Result\n\nParis")),
            (
                "inline code",
                "Use `print(x)` to see it.",
                Answer("Use `print(x)` to see it."),
            ),
            (
                "german",
                "Für die Straße: 3 €",
                Answer("Für die Straße: 3 €"),
            ),
            ("a word", "Paris.", Answer("Paris.")),
        ],
    );
}

#[test]
fn reasoning_is_dropped() {
    check(
        Mode::Agent,
        &[
            (
                "deepseek",
                "<think>\nMaybe\n```python\nbad()\n```\n</think>\n\n```python\ngood()\n```",
                CodeAndProse("good()", ""),
            ),
            (
                "qwen3 answer",
                "<think>\n\n</think>\n\nParis",
                Answer("Paris"),
            ),
            (
                "opened in the prompt",
                "I could\n```python\nbad()\n```\nor not.\n</think>\nParis",
                Answer("Paris"),
            ),
            ("stray close", "</think>Paris", Answer("Paris")),
            (
                "before bare code",
                "<think>x</think>\nprint(1)",
                Code("print(1)"),
            ),
            (
                "never closed",
                "<think>\nLet me see\n```python\nx()\n```",
                Unreadable("inside its reasoning"),
            ),
            (
                "only reasoning",
                "<think>hm</think>\n",
                Unreadable("only reasoning"),
            ),
        ],
    );
}

#[test]
fn invented_results_are_dropped() {
    check(
        Mode::Agent,
        &[
            (
                "observation",
                "```python\na()\n```\nObservation: 3\n```python\nb()\n```",
                Code("a()"),
            ),
            (
                "bold output",
                "```python\na()\n```\n**Output:**\n```\n3\n```\nSo it is 3.",
                CodeAndProse("a()", ""),
            ),
            (
                "heading",
                "```python\na()\n```\n### Output\nThree",
                CodeAndProse("a()", ""),
            ),
            (
                "inside the fence",
                "```python\na()\nObservation: 3\nThought: b",
                Code("a()"),
            ),
            (
                "bare",
                "print(1)\nObservation: 1\nThe answer is 1",
                Code("print(1)"),
            ),
            (
                "spoken of",
                "```python\na()\n```\nObservations follow.",
                CodeAndProse("a()", "Observations follow."),
            ),
        ],
    );
}

#[test]
fn json_and_other_languages() {
    check(
        Mode::Agent,
        &[
            (
                "json answer",
                "Here:\n```json\n{\"best\": \"B\"}\n```",
                Answer("{\"best\": \"B\"}"),
            ),
            (
                "bare json",
                "{\"answer\": [1, 2]}",
                Answer("{\"answer\": [1, 2]}"),
            ),
            ("json in a bare fence", "```\n[1, 2]\n```", Answer("[1, 2]")),
            (
                "qwen 0.5b tool call",
                "```json\n{\"name\": \"search\", \"arguments\": {\"q\": \"a\"}}\n```",
                Unreadable("calls the tool \"search\" as JSON"),
            ),
            (
                "hermes",
                "<tool_call>\n{\"name\": \"search\", \"arguments\": {}}\n</tool_call>",
                Unreadable("tools are Python functions"),
            ),
            (
                "llama 3.1",
                "{\"name\": \"python\", \"parameters\": {\"code\": \"print(1)\"}}",
                Code("print(1)"),
            ),
            (
                "structured output",
                "{\"thought\": \"add\", \"code\": \"print(1 + 2)\"}",
                Code("print(1 + 2)"),
            ),
            (
                "final answer as a call",
                "{\"name\": \"final_answer\", \"arguments\": {\"answer\": \"Laptop B\"}}",
                Answer("Laptop B"),
            ),
            (
                "bash",
                "```bash\nls -l\n```",
                Unreadable("bash; only Python"),
            ),
            (
                "text fence",
                "```\nLaptop B is best\n```",
                Answer("Laptop B is best"),
            ),
            (
                "rust is shown",
                "So:\n```rust\nfn a() {}\n```",
                Answer("So:\n```rust\nfn a() {}\n```"),
            ),
            ("html", "```html\n<p>a</p>\n```", Answer("<p>a</p>")),
            (
                "prose with a table",
                "The rows:\n```\na b\n1 2\n```\nDone",
                Answer("The rows:\n```\na b\n1 2\n```\nDone"),
            ),
            (
                "python that is wrong stays code",
                "```python\nprint 'a'\n```",
                Code("print 'a'"),
            ),
            ("a list in python", "```python\n[1, 2]\n```", Code("[1, 2]")),
        ],
    );
}

#[test]
fn a_reply_without_content_is_unreadable_with_a_reason() {
    check(
        Mode::Agent,
        &[
            ("empty", "", Unreadable("The reply is empty.")),
            ("blank", " \n\t\n", Unreadable("The reply is empty.")),
            (
                "empty block",
                "```python\n\n```",
                Unreadable("block is empty"),
            ),
            (
                "empty tag in a block",
                "```python\n<code>\n```",
                Unreadable("block is empty"),
            ),
            (
                "empty code member",
                "{\"code\": \"\"}",
                Unreadable("code is empty"),
            ),
        ],
    );
    let long = "a".repeat(MAX_REPLY_BYTES + 1);
    assert!(matches!(
        parse(&long, Mode::Agent),
        Action::Unreadable { .. }
    ));
}

#[test]
fn the_once_mode_accepts_only_a_program() {
    check(
        Mode::Once,
        &[
            ("bare", "print(1)\n", CodeAndProse("print(1)", "")),
            ("weak but Python", "x = 5", Code("x = 5")),
            ("fence", "\n```python\nprint(1)\n```\n", Code("print(1)")),
            ("fence without language", "```\n1 + 1\n```", Code("1 + 1")),
            ("cut", "```python\nprint(1)", Code("print(1)")),
            (
                "reasoned",
                "<think>a b</think>\n```python\nprint(1)\n```",
                Code("print(1)"),
            ),
            (
                "prose before",
                "Sure, here:\n```python\nprint(1)\n```",
                Unreadable("prose around the code block (for example: \"Sure, here:\")"),
            ),
            (
                "prose after",
                "```python\nprint(1)\n```\nIt prints.",
                Unreadable("prose around"),
            ),
            (
                "prose",
                "The answer is 5",
                Unreadable("prose or a syntax error"),
            ),
            (
                "two blocks",
                "```python\na = 1\n```\n```python\nb = 1\n```",
                Unreadable("more than one"),
            ),
            ("bash", "```sh\nls\n```", Unreadable("only Python")),
            (
                "json",
                "```json\n{}\n```",
                Unreadable("does not hold Python"),
            ),
            ("empty", "", Unreadable("empty")),
        ],
    );
}
