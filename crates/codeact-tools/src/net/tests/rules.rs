use std::net::IpAddr;

use super::super::HostRule;
use super::super::resolve::{allowed, special};
use super::rule;

#[test]
fn a_rule_is_parsed_and_formatted() {
    for (text, shown) in [
        ("example.com", "example.com"),
        (" Example.COM. ", "example.com"),
        ("example.com:8080", "example.com:8080"),
        ("*.example.com", "*.example.com"),
        ("*.example.com:1", "*.example.com:1"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("localhost", "localhost"),
        ("10.0.0.1:65535", "10.0.0.1:65535"),
        ("0x7f.1", "127.0.0.1"),
        ("[::1]", "[::1]"),
        ("[0:0::1]:80", "[::1]:80"),
    ] {
        assert_eq!(rule(text).to_string(), shown, "{text}");
        assert_eq!(rule(shown), rule(text), "{text}");
    }
}

#[test]
fn an_invalid_host_is_refused() {
    for text in [
        "",
        " ",
        "*",
        "*.",
        ".",
        "a..b",
        "*.*.a",
        "a.*.b",
        "*a.b",
        "::1",
        "[::1",
        "[::1]x",
        "[a]",
        "a:",
        "a:0",
        "a:65536",
        "a:+80",
        "a:b",
        ":80",
        "http://a",
        "a/b",
        "a?b",
        "a#b",
        "u@a",
        "a b",
        "a\nb",
        "a%41",
        "a\\b",
        "*.1.2.3.4",
        "*.[::1]",
        "1.2.3.4.5",
        "256.1.1.1",
    ] {
        let error = text.parse::<HostRule>().unwrap_err().to_string();
        assert!(error.starts_with("invalid host `"), "{text}: {error}");
    }
}

#[test]
fn a_rule_allows_its_host_and_port_and_no_other() {
    for (text, host, port, allows) in [
        ("example.com", "example.com", 80, true),
        ("example.com", "EXAMPLE.com.", 443, true),
        ("example.com", "example.com", 8080, false),
        ("example.com", "a.example.com", 80, false),
        ("example.com", "badexample.com", 80, false),
        ("example.com", "example.com.evil", 80, false),
        ("example.com:8080", "example.com", 8080, true),
        ("example.com:8080", "example.com", 80, false),
        ("*.example.com", "a.example.com", 80, true),
        ("*.example.com", "a.b.example.com", 443, true),
        ("*.example.com", "example.com", 80, false),
        ("*.example.com", ".example.com", 80, false),
        ("*.example.com", "badexample.com", 80, false),
        ("127.0.0.1", "127.0.0.1", 80, true),
        ("127.0.0.1", "127.0.0.2", 80, false),
        ("127.0.0.1", "localhost", 80, false),
        ("localhost", "127.0.0.1", 80, false),
        ("[::1]:1", "[::1]", 1, true),
        ("[::1]:1", "[0::1]", 1, true),
        ("127.0.0.1", "[::ffff:127.0.0.1]", 80, false),
    ] {
        assert_eq!(
            rule(text).allows(host, port),
            allows,
            "{text} {host}:{port}"
        );
    }
}

#[test]
fn special_addresses_are_recognised() {
    for text in [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.255",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "168.63.129.16",
        "::",
        "::1",
        "::127.0.0.1",
        "::8.8.8.8",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "::ffff:0:8.8.8.8",
        "64:ff9b::a00:1",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::808:808",
        "100::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
        "3fff::1",
        "2001:2::1",
        "2001:20::1",
        "2001::7f00:1",
        "2001:0:808:808::f5ff:fffe",
        "2001:0:a00:1::f7f7:f7f7",
        "2002:a00:1::1",
        "2002:7f00:1::",
        "4000::1",
    ] {
        let ip: IpAddr = text.parse().unwrap();
        assert!(special(ip).is_some(), "{text}");
    }
    for text in [
        "1.1.1.1",
        "8.8.8.8",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.0.1",
        "172.32.0.1",
        "169.253.0.1",
        "192.167.0.1",
        "198.20.0.1",
        "223.255.255.255",
        "2606:4700::1111",
        "2a00:1450::1",
        "64:ff9b::808:808",
        "2002:808:808::1",
        "2001:0:808:808::f7f7:f7f7",
        "2001:200::1",
    ] {
        let ip: IpAddr = text.parse().unwrap();
        assert_eq!(special(ip), None, "{text}");
    }
}

/// Returns the addresses in `found` that `rules` allow for `name` at port 80.
fn allowed_at(rules: &[&str], name: &str, found: &[&str]) -> Result<Vec<String>, String> {
    let rules: Vec<HostRule> = rules.iter().map(|text| rule(text)).collect();
    let found: Vec<IpAddr> = found.iter().map(|ip| ip.parse().unwrap()).collect();
    let allowed = allowed(&rules, name, 80, &found).map_err(|error| error.to_string())?;
    Ok(allowed.iter().map(ToString::to_string).collect())
}

#[test]
fn a_name_may_lead_to_the_internet_and_to_allowed_addresses_only() {
    let only = |ip: &str| Ok(vec![ip.to_owned()]);
    let both = ["8.8.8.8", "10.0.0.1"];
    assert_eq!(allowed_at(&["a.b"], "a.b", &both), only("8.8.8.8"));
    assert_eq!(
        allowed_at(&["a.b", "10.0.0.1"], "a.b", &both[1..]),
        only("10.0.0.1")
    );
    let error = allowed_at(&["a.b"], "a.b", &["10.0.0.1"]).unwrap_err();
    assert!(error.contains("10.0.0.1, a private address"), "{error}");
    // A rule for another port.
    assert!(allowed_at(&["a.b", "10.0.0.1:81"], "a.b", &["10.0.0.1"]).is_err());
    assert!(allowed_at(&["a.b"], "a.b", &["169.254.169.254"]).is_err());
    assert!(allowed_at(&["a.b"], "a.b", &[]).is_err());
    assert!(allowed_at(&["a.b"], "c.d", &["8.8.8.8"]).is_err());
    // `localhost` allows addresses of this machine only.
    let local = ["a.b", "localhost"];
    assert_eq!(allowed_at(&local, "a.b", &["127.0.0.1"]), only("127.0.0.1"));
    assert_eq!(allowed_at(&local, "localhost", &["::1"]), only("::1"));
    assert!(allowed_at(&local, "a.b", &["10.0.0.1"]).is_err());
}
