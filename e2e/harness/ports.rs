//! Free ports on loopback.

use std::{fs, net::TcpListener, ops::Range};

use anyhow::{Context, Result, bail};

use crate::state::random;

/// `N` different loopback ports that nobody listens on.
///
/// They are free, not reserved: where two processes draw the same one, the later finds it taken and draws again. They lie
/// outside the range from which the kernel takes ports for outgoing connections, so that a server which was killed finds its
/// port still free when it is started again, however many connections were made meanwhile.
pub fn free<const N: usize>() -> Result<[u16; N]> {
    let range = listening_range();
    // All are held open at the same time while choosing, so that they differ.
    let mut held = Vec::new();
    for _ in 0..1000 {
        if held.len() == N {
            break;
        }
        let drawn = u16::from_le_bytes(random(2).try_into().expect("two bytes"));
        let port = range.start + drawn % (range.end - range.start);
        held.extend(TcpListener::bind(("127.0.0.1", port)));
    }
    let ports: Vec<u16> =
        held.iter().map(|held| held.local_addr().map(|address| address.port())).collect::<Result<_, _>>()?;
    let Ok(ports) = ports.try_into() else { bail!("no free port on 127.0.0.1 in {range:?}") };
    Ok(ports)
}

/// True when a log says that a port was taken by somebody else.
pub(crate) fn clash(log: &str) -> bool {
    log.contains("address already in use")
}

fn listening_range() -> Range<u16> {
    let below = outgoing_range().map_or(32768, |range| range.start);
    if below > 12_000 { 10_000..below } else { 10_000..u16::MAX }
}

fn outgoing_range() -> Result<Range<u16>> {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")?;
    let (start, end) = text.trim().split_once(char::is_whitespace).context("two numbers")?;
    Ok(start.trim().parse()?..end.trim().parse()?)
}
