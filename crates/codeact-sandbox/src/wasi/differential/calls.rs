//! Calls that are not about files: arguments, environment, clocks, random bytes, polls, preopened folders, pointers.

use crate::types::errno::Errno;
use crate::wasi::differential::hosts::{FACTORY, Host, Hosts};
use crate::wasi::differential::ops::ROOT_FD;
use crate::wasi::preview1::{clockid, event, eventtype, subscription};

const OUT: u64 = 0x200;
const BUF: u64 = 0x1000;
/// An address after the end of the guest memory.
const OUTSIDE: u64 = 1 << 30;

/// Error number of a call, or `None` if it trapped; and the bytes of the guest memory after it.
type Outcome = (Option<u16>, Vec<u8>);

fn run(host: &mut dyn Host, name: &str, args: &[u64]) -> Outcome {
    let errno = host.call(name, args).ok();
    (errno, host.memory()[..0x2000].to_vec())
}

/// Makes a call on both sides. Returns both outcomes, ours first.
fn both(hosts: &mut Hosts, name: &str, args: &[u64]) -> (Outcome, Outcome) {
    (
        run(&mut *hosts.ours, name, args),
        run(&mut *hosts.theirs, name, args),
    )
}

/// Checks that a call has the same error number and the same bytes in memory on both sides.
fn check(hosts: &mut Hosts, name: &str, args: &[u64]) -> Option<u16> {
    let (ours, theirs) = both(hosts, name, args);
    assert_eq!(ours.0, theirs.0, "{name} {args:?}");
    assert!(ours.1 == theirs.1, "{name} {args:?}: bytes in memory");
    ours.0
}

fn errnos(hosts: &mut Hosts, name: &str, args: &[u64]) -> (Option<u16>, Option<u16>) {
    let (ours, theirs) = both(hosts, name, args);
    (ours.0, theirs.0)
}

fn error(errno: Errno) -> Option<u16> {
    Some(errno as u16)
}

#[test]
fn arguments_and_environment_have_the_same_layout() {
    let mut hosts = FACTORY.hosts();
    for name in ["args", "environ"] {
        assert_eq!(
            check(&mut hosts, &format!("{name}_sizes_get"), &[OUT, OUT + 4]),
            Some(0)
        );
        assert_eq!(
            check(&mut hosts, &format!("{name}_get"), &[OUT, BUF]),
            Some(0)
        );
    }
}

#[test]
fn preopened_folders_have_the_same_names() {
    let mut hosts = FACTORY.hosts();
    let fd = u64::from(ROOT_FD);
    assert_eq!(check(&mut hosts, "fd_prestat_get", &[fd, OUT]), Some(0));
    assert_eq!(
        check(&mut hosts, "fd_prestat_dir_name", &[fd, BUF, 1]),
        Some(0)
    );
    assert_eq!(
        check(&mut hosts, "fd_prestat_dir_name", &[fd, BUF, 0]),
        error(Errno::Nametoolong)
    );
    for other in [0, 4, 900] {
        check(&mut hosts, "fd_prestat_get", &[other, OUT]);
        check(&mut hosts, "fd_prestat_dir_name", &[other, BUF, 10]);
    }
}

#[test]
fn clocks_differ_in_cpu_time_and_resolution_only() {
    let mut hosts = FACTORY.hosts();
    for id in [clockid::REALTIME, 1] {
        let id = u64::from(id);
        assert_eq!(
            errnos(&mut hosts, "clock_res_get", &[id, OUT]),
            (Some(0), Some(0))
        );
        assert_eq!(
            errnos(&mut hosts, "clock_time_get", &[id, 0, OUT]),
            (Some(0), Some(0))
        );
    }
    // CPU time is the time of the monotonic clock here: it is not measured.
    for id in [2, 3] {
        let badf = error(Errno::Badf);
        assert_eq!(
            errnos(&mut hosts, "clock_res_get", &[id, OUT]),
            (Some(0), badf)
        );
        assert_eq!(
            errnos(&mut hosts, "clock_time_get", &[id, 0, OUT]),
            (Some(0), badf)
        );
    }
    // An invalid value of an enum traps in wasmtime-wasi.
    let inval = error(Errno::Inval);
    assert_eq!(
        errnos(&mut hosts, "clock_res_get", &[4, OUT]),
        (inval, None)
    );
    assert_eq!(
        errnos(&mut hosts, "clock_time_get", &[4, 0, OUT]),
        (inval, None)
    );
}

#[test]
fn random_bytes_fill_exactly_the_buffer() {
    let mut hosts = FACTORY.hosts();
    let length = 64;
    let (ours, theirs) = both(&mut hosts, "random_get", &[BUF, length]);
    for (errno, bytes) in [ours, theirs] {
        assert_eq!(errno, Some(0));
        let (start, end) = (BUF as usize, (BUF + length) as usize);
        assert!(bytes[start..end].iter().any(|byte| *byte != 0));
        assert!(
            bytes[..start]
                .iter()
                .chain(&bytes[end..])
                .all(|byte| *byte == 0)
        );
    }
    assert_eq!(
        errnos(&mut hosts, "random_get", &[BUF, 0]),
        (Some(0), Some(0))
    );
    // Longer requests are an error here, so that one call is short.
    let (ours, theirs) = errnos(&mut hosts, "random_get", &[BUF, (64 << 10) + 1]);
    assert_eq!((ours, theirs), (error(Errno::Inval), Some(0)));
}

#[test]
fn there_are_no_sockets() {
    let mut hosts = FACTORY.hosts();
    check(&mut hosts, "sched_yield", &[]);
    for fd in [0, 3, 900] {
        check(&mut hosts, "sock_shutdown", &[fd, 1]);
    }
}

/// An invalid pointer is an error here, and a trap in wasmtime-wasi.
#[test]
fn invalid_pointers_are_an_error_or_a_trap() {
    let mut hosts = FACTORY.hosts();
    let fd = u64::from(ROOT_FD);
    for (name, args) in [
        ("args_sizes_get", vec![OUTSIDE, OUTSIDE]),
        ("fd_fdstat_get", vec![fd, OUTSIDE]),
        ("fd_write", vec![1, OUTSIDE, 1, OUT]),
        ("path_create_directory", vec![fd, OUTSIDE, 3]),
        ("path_create_directory", vec![fd, u64::from(u32::MAX), 3]),
        ("random_get", vec![OUTSIDE, 8]),
        ("fd_readdir", vec![fd, OUTSIDE, 100, 0, OUT]),
    ] {
        let outcome = errnos(&mut hosts, name, &args);
        assert_eq!(outcome, (error(Errno::Fault), None), "{name}");
    }
}

#[test]
fn a_path_that_is_not_utf8_is_an_illegal_byte_sequence() {
    let mut hosts = FACTORY.hosts();
    for host in [&mut hosts.ours, &mut hosts.theirs] {
        host.memory()[BUF as usize..][..2].copy_from_slice(&[b'a', 0xFF]);
    }
    let fd = u64::from(ROOT_FD);
    assert_eq!(
        check(&mut hosts, "path_create_directory", &[fd, BUF, 2]),
        error(Errno::Ilseq)
    );
}

/// wasmtime-wasi reads into and writes from the first buffer that is not empty only. That is a short read or write.
#[test]
fn several_buffers_are_read_or_the_first_one() {
    let mut hosts = FACTORY.hosts();
    for host in [&mut hosts.ours, &mut hosts.theirs] {
        for (i, len) in [0, 3, 4].into_iter().enumerate() {
            let at = OUT as usize + 0x100 + i * 8;
            host.memory()[at..][..4].copy_from_slice(&(BUF as u32 + i as u32 * 16).to_le_bytes());
            host.memory()[at + 4..][..4].copy_from_slice(&u32::to_le_bytes(len));
        }
    }
    let args = [1, OUT + 0x100, 3, OUT];
    let (ours, theirs) = both(&mut hosts, "fd_write", &args);
    let count = |outcome: &Outcome| outcome.1[OUT as usize];
    assert_eq!((ours.0, count(&ours)), (Some(0), 7));
    assert_eq!((theirs.0, count(&theirs)), (Some(0), 3));
}

/// A subscription: user data, event type, then the clock with its time-out and flags, or the descriptor.
struct Subscription(u64, u8, u32, u64, u16);

/// Error number of a poll, and user data, error and type of each event.
type PollOutcome = (Option<u16>, Vec<(u64, u16, u8)>);

/// Polls on both sides. Returns our outcome first.
fn poll(hosts: &mut Hosts, subscriptions: &[Subscription]) -> [PollOutcome; 2] {
    [&mut hosts.ours, &mut hosts.theirs].map(|host| {
        for (i, sub) in subscriptions.iter().enumerate() {
            let mut bytes = [0; subscription::SIZE as usize];
            let mut put = |at: u32, value: &[u8]| {
                bytes[at as usize..][..value.len()].copy_from_slice(value);
            };
            put(subscription::USERDATA, &sub.0.to_le_bytes());
            put(subscription::TAG, &[sub.1]);
            put(subscription::CLOCK_ID, &sub.2.to_le_bytes());
            put(subscription::CLOCK_TIMEOUT, &sub.3.to_le_bytes());
            put(subscription::CLOCK_FLAGS, &sub.4.to_le_bytes());
            let at = BUF as usize + i * bytes.len();
            host.memory()[at..][..bytes.len()].copy_from_slice(&bytes);
        }
        let events = BUF + 0x800;
        host.memory()[OUT as usize..][..4].fill(0);
        let args = [BUF, events, subscriptions.len() as u64, OUT];
        let errno = host.call("poll_oneoff", &args).ok();
        let count = host.memory()[OUT as usize] as usize;
        let found = (0..count).map(|i| {
            let bytes = &host.memory()[events as usize + i * event::SIZE..][..event::SIZE];
            let userdata = u64::from_le_bytes(bytes[event::USERDATA].try_into().unwrap());
            let error = u16::from_le_bytes(bytes[event::ERROR].try_into().unwrap());
            (userdata, error, bytes[event::TYPE])
        });
        let found = found.collect();
        (errno, found)
    })
}

#[test]
fn polls_report_the_same_events() {
    let mut hosts = FACTORY.hosts();
    let clock = |userdata, timeout| Subscription(userdata, eventtype::CLOCK, 1, timeout, 0);
    let fd = |userdata, kind, fd| Subscription(userdata, kind, fd, 0, 0);
    let ms = 1_000_000;
    for subscriptions in [
        vec![],
        vec![clock(7, ms)],
        vec![clock(1, 3_600_000 * ms), clock(2, ms)],
        // Absolute time, which has passed.
        vec![Subscription(
            4,
            eventtype::CLOCK,
            0,
            1,
            subscription::FLAG_ABSTIME,
        )],
        vec![fd(5, eventtype::FD_WRITE, 1)],
        vec![fd(5, eventtype::FD_WRITE, 1), clock(6, 3_600_000 * ms)],
        vec![fd(5, eventtype::FD_READ, 900)],
        vec![fd(5, eventtype::FD_WRITE, 900), clock(6, ms)],
    ] {
        let [ours, theirs] = poll(&mut hosts, &subscriptions);
        assert_eq!(ours, theirs, "{} subscriptions", subscriptions.len());
    }
    for subscription in [
        Subscription(1, 3, 1, ms, 0),
        Subscription(1, eventtype::CLOCK, 9, ms, 0),
    ] {
        let [ours, theirs] = poll(&mut hosts, &[subscription]);
        assert_eq!(
            (ours.0, theirs.0),
            (error(Errno::Inval), error(Errno::Inval))
        );
    }
}
