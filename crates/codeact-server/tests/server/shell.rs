//! What commands of a shell take from their tenant.

use std::time::Duration;

use codeact::sandbox::Limits;
use serde_json::json;

use crate::envd_support::{Sandbox, small_config};

#[tokio::test(flavor = "multi_thread")]
async fn a_command_counts_as_a_turn_of_its_tenant() {
    let mut config = small_config();
    config.tenants[0].quota.turns = 1;
    let sandbox = Sandbox::with(config).await;
    let mut running = sandbox.start("sleep 3000").await;
    // The start event.
    assert!(running.chunk().await.unwrap().is_some());
    let refused = sandbox.run("echo hi").await;
    assert!(
        refused.contains("resource_exhausted") && refused.contains("concurrent turns"),
        "{refused}"
    );
    let kill = json!({"process": {"pid": 101}, "signal": "SIGNAL_SIGKILL"});
    let killed = sandbox.request("POST", "/process.Process/SendSignal");
    assert_eq!(killed.json(&kill).send().await.unwrap().status(), 200);
    while running.chunk().await.unwrap().is_some() {}
    // Python is a turn of its own, and the command waits for it.
    let printed = sandbox
        .run("python -c 'print(6 * 7)' | cat && echo done")
        .await;
    let ended = printed.contains("\"exitCode\":0");
    // "42" and "done\n" in base64.
    assert!(
        ended && printed.contains("NDI") && printed.contains("ZG9uZQo="),
        "{printed}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_computes_is_stopped_and_charged() {
    let mut config = small_config();
    let tenant = &mut config.tenants[0];
    tenant.limits = Limits::new().with_wall(Duration::from_secs(1));
    tenant.quota.fuel_per_minute = Some(1_000_000_000);
    let sandbox = Sandbox::with(config).await;
    let ended = sandbox.run("seq 1 99999999999 > /dev/null").await;
    assert!(
        ended.contains("deadline_exceeded") && ended.contains("computed"),
        "{ended}"
    );
    let refused = sandbox.run("echo hi").await;
    assert!(refused.contains("fuel per minute"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_waits_is_not_charged_for_its_time() {
    let mut config = small_config();
    let tenant = &mut config.tenants[0];
    tenant.limits = Limits::new().with_wall(Duration::from_secs(1));
    let sandbox = Sandbox::with(config).await;
    let ended = sandbox.run("sleep 3; echo hi").await;
    assert!(ended.contains("\"exitCode\":0"), "{ended}");
}
