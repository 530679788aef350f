//! The history of an agent: how it is shortened, and its isolation from other runs.

use std::sync::Arc;

use codeact::Agent;
use codeact::agent::Ending;
use codeact::llm::{Message, Model};
use serde_json::json;

use crate::agent::{Fake, last, say};
use crate::support::sandbox;

#[tokio::test(flavor = "multi_thread")]
async fn a_long_conversation_is_shortened_from_its_oldest_observations() {
    const STEPS: u32 = 30;
    let total = |messages: &[Message]| messages.iter().map(|m| m.content.len()).sum::<usize>();
    let turns = (0..STEPS).map(|i| {
        let code = format!("```python\nprint('step {i}:', 'x' * 7000)\n```");
        say(&code, move |messages| {
            assert_eq!(messages.len(), 2 + 2 * i as usize);
            assert!(total(messages) <= 100_000, "{}", total(messages));
            assert_eq!(messages[1].content, "Task: the task");
            if let Some(before) = i.checked_sub(1) {
                assert!(last(messages).contains(&format!("step {before}:")));
                assert!(last(messages).len() > 7000);
            }
        })
    });
    let end = say("```python\nfinal_answer(1)\n```", |messages| {
        let first = &messages[3].content;
        assert!(first.len() < 1000 && first.contains("left out"), "{first}");
    });
    let model = Fake::new(turns.chain([end]));
    let agent = Agent::new(model.clone(), sandbox()).max_steps(STEPS + 1);
    let run = agent.run("the task").await.unwrap();
    model.assert_used();
    assert_eq!(run.answer(), Some(&json!(1)));
    // The messages were shortened; the recorded steps were not.
    assert!(run.steps[0].observation.as_ref().unwrap().len() > 7000);
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_in_one_sandbox_share_no_variables() {
    let one = "```python\nsecret = 1\nopen('f', 'w').write('x')\n```";
    let two =
        "```python\nimport os\nfinal_answer(['secret' in globals(), os.path.exists('f')])\n```";
    let sandbox = sandbox();
    let first = Agent::new(Fake::saying(&[one]), sandbox.clone()).max_steps(1);
    assert_eq!(first.run("t").await.unwrap().ending, Ending::OutOfSteps);
    let run = Agent::new(Fake::saying(&[two]), sandbox).run("t").await;
    assert_eq!(run.unwrap().answer(), Some(&json!([false, false])));
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_run_concurrently_on_other_threads() {
    let runs = (0..4).map(|n| {
        let one = format!("```python\nn = {n}\n```");
        let model: Arc<dyn Model> = Fake::saying(&[&one, "```python\nfinal_answer(n * n)\n```"]);
        let agent = Agent::new(model, sandbox());
        tokio::spawn(async move { agent.run("square").await.unwrap() })
    });
    let runs: Vec<_> = runs.collect();
    for (n, run) in runs.into_iter().enumerate() {
        assert_eq!(run.await.unwrap().answer(), Some(&json!(n * n)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_counts_if_the_code_catches_the_exit() {
    for code in [
        "try:\n    final_answer(42)\nexcept Exception:\n    pass\nprint('not reached')",
        "def f():\n    final_answer(42)\nfor _ in range(3):\n    f()",
        "try:\n    final_answer(42)\nfinally:\n    print('cleaning up')",
    ] {
        let reply = format!("```python\n{code}\n```");
        let model = Fake::saying(&[&reply]);
        let run = Agent::new(model, sandbox()).max_steps(1).run("t").await;
        let run = run.unwrap();
        assert_eq!(run.answer(), Some(&json!(42)), "{code}: {run:#?}");
    }
}
