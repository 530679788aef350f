use super::super::{HttpLimits, Network};
use super::{Scripted, Server, body_of, failure, get, network, ok, rule};

#[tokio::test]
async fn an_allowed_host_is_reached_and_others_are_denied() {
    let server = Server::responding(ok("", "hello")).await;
    let connections = network(vec![server.rule()], vec![]).open();
    assert_eq!(body_of(&connections, get(server.url("/"))).await, "hello");
    let message = failure(&connections, get("http://example.com/"), "denied").await;
    assert!(
        message.contains("the rule `example.com` would"),
        "{message}"
    );
    let other = format!("http://localhost:{}/", server.port);
    let message = failure(&connections, get(other), "denied").await;
    let rule = format!("the rule `localhost:{}` would", server.port);
    assert!(message.contains(&rule), "{message}");
    let nothing = network(vec![], vec![]).open();
    failure(&nothing, get(server.url("/")), "denied").await;
}

#[tokio::test]
async fn every_notation_of_an_address_is_checked_as_that_address() {
    let server = Server::responding(ok("", "hello")).await;
    let port = server.port;
    let allowed = network(vec![server.rule()], vec![]).open();
    // A rule for names does not allow an address.
    let names = network(vec![rule(&format!("*.example.com:{port}"))], vec![]).open();
    for host in ["2130706433", "0x7f.1", "0177.0.0.1", "127.1", "127.0.0.1."] {
        let url = format!("http://{host}:{port}/");
        assert_eq!(body_of(&allowed, get(url.clone())).await, "hello", "{host}");
        failure(&names, get(url), "denied").await;
    }
    for host in ["[::ffff:127.0.0.1]", "[::1]", "0.0.0.0", "0", "127.0.0.2"] {
        failure(&allowed, get(format!("http://{host}:{port}/")), "denied").await;
    }
    failure(&allowed, get("http://169.254.169.254/latest/"), "denied").await;
}

#[tokio::test]
async fn a_name_with_an_address_of_this_machine_needs_a_rule_for_the_address() {
    let server = Server::responding(ok("", "hello")).await;
    let port = server.port;
    let url = format!("http://rebind.test:{port}/");
    let name = rule(&format!("rebind.test:{port}"));
    let connections = network(vec![name.clone()], vec![]).open();
    let message = failure(&connections, get(url.clone()), "denied").await;
    assert!(
        message.contains("127.0.0.1, a loopback address"),
        "{message}"
    );
    for also in [server.rule(), rule(&format!("localhost:{port}"))] {
        let connections = network(vec![name.clone(), also], vec![]).open();
        assert_eq!(body_of(&connections, get(url.clone())).await, "hello");
    }
}

#[tokio::test]
async fn a_name_is_checked_again_if_its_address_changes() {
    let server = Server::responding(ok("", "hello")).await;
    let rules = vec![rule(&format!("rebind.test:{}", server.port)), server.rule()];
    let lookup = Scripted::new(&[&["127.0.0.1"], &["127.0.0.2"]]);
    let connections = Network::with(rules, vec![], HttpLimits::default(), lookup).open();
    let url = format!("http://rebind.test:{}/", server.port);
    assert_eq!(body_of(&connections, get(url.clone())).await, "hello");
    let message = failure(&connections, get(url), "denied").await;
    assert!(message.contains("127.0.0.2"), "{message}");
}

#[tokio::test]
async fn only_allowed_addresses_of_a_name_are_connected_to() {
    let server = Server::responding(ok("", "hello")).await;
    let rules = vec![rule(&format!("rebind.test:{}", server.port)), server.rule()];
    let lookup = Scripted::new(&[&["127.0.0.2", "169.254.169.254", "127.0.0.1"]]);
    let connections = Network::with(rules, vec![], HttpLimits::default(), lookup).open();
    let url = format!("http://rebind.test:{}/", server.port);
    assert_eq!(body_of(&connections, get(url)).await, "hello");
}

#[tokio::test]
async fn localhost_is_this_machine_without_a_name_server() {
    let mut server = Server::responding(ok("", "hello")).await;
    let rules = vec![rule(&format!("localhost:{}", server.port))];
    let lookup = Scripted::new(&[&["10.0.0.1"]]);
    let connections = Network::with(rules, vec![], HttpLimits::default(), lookup).open();
    for host in ["localhost", "LocalHost."] {
        let url = format!("http://{host}:{}/", server.port);
        assert_eq!(body_of(&connections, get(url)).await, "hello");
        let asked_for = format!("host: localhost:{}\r\n", server.port);
        assert!(server.request().await.contains(&asked_for));
    }
}

#[tokio::test]
async fn the_guest_follows_redirects_and_the_target_is_checked() {
    let answer = "HTTP/1.1 302 Found\r\nLocation: http://localhost:1/admin\r\n\
                  Content-Length: 0\r\n\r\n";
    let server = Server::responding(answer).await;
    let connections = network(vec![server.rule()], vec![]).open();
    let response = connections.request(get(server.url("/"))).await.unwrap();
    assert_eq!((response.status, response.reason.as_str()), (302, "Found"));
    let location = super::header(&response, "location").unwrap().to_owned();
    failure(&connections, get(location), "denied").await;
}

#[tokio::test]
async fn an_unknown_name_is_a_dns_failure() {
    let lookup = Scripted::new(&[]);
    let rules = vec![rule("nowhere.test")];
    let connections = Network::with(rules, vec![], HttpLimits::default(), lookup).open();
    let message = failure(&connections, get("http://nowhere.test/"), "dns").await;
    assert!(message.contains("nowhere.test"), "{message}");
}

#[tokio::test]
async fn other_schemes_and_user_names_in_urls_are_refused() {
    let connections = network(vec![rule("a.test")], vec![]).open();
    for url in [
        "ftp://a.test/",
        "file:///etc/passwd",
        "ws://a.test/",
        "data:,x",
    ] {
        failure(&connections, get(url), "denied").await;
    }
    for url in [
        "",
        "/x",
        "a.test",
        "http://",
        "http://a.test:99999/",
        "http://u:p@a.test/",
    ] {
        failure(&connections, get(url), "protocol").await;
    }
}

#[tokio::test]
async fn a_closed_port_is_a_connect_failure() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let connections = network(vec![rule(&address.to_string())], vec![]).open();
    failure(&connections, get(format!("http://{address}/")), "connect").await;
}

#[tokio::test]
async fn a_server_without_tls_is_a_tls_failure() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = b"HTTP/1.1 400 Bad Request\r\n\r\n";
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await;
            // The connection stays open, so that the response is the cause of the failure.
            std::mem::forget(stream);
        }
    });
    let connections = network(vec![rule(&address.to_string())], vec![]).open();
    failure(&connections, get(format!("https://{address}/")), "tls").await;
}
