//! RTP ports: even ones of a configured range, at random, bound when asked for.
//!
//! There is no table of free ports: the kernel knows. A leg's port is free again the moment its
//! worker closes the socket.

use model::Rng;
use rustix::net::{self, AddressFamily, SocketFlags, SocketType};
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use thiserror::Error;

/// Why there is no port.
#[derive(Debug, Error)]
pub enum PortsError {
    /// The range holds no even port.
    #[error(
        "the RTP ports {0} to {1} hold no even port; configure a range of at least two ports per leg"
    )]
    Empty(u16, u16),
    /// All even ports of the range are bound.
    #[error("all RTP ports from {0} to {1} are in use; widen the range or take fewer calls")]
    Exhausted(u16, u16),
    /// The address cannot be bound at all.
    #[error(
        "no socket on {ip}: {source}; check that this machine has the address, and the limit of open files"
    )]
    Bind {
        /// Where.
        ip: IpAddr,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Hands out sockets on random even ports.
#[derive(Debug)]
pub struct Ports {
    ip: IpAddr,
    range: RangeInclusive<u16>,
    first: u16,
    count: u32,
    rng: Rng,
}

impl Ports {
    /// Even ports of `range` on `ip`. The seed makes them unpredictable: an attacker who knows a
    /// port can inject audio (RFC 3550 §9), so it has to come from the system's randomness.
    ///
    /// # Errors
    /// [`PortsError::Empty`].
    pub fn new(ip: IpAddr, range: RangeInclusive<u16>, seed: u64) -> Result<Ports, PortsError> {
        let (low, high) = (
            u32::from(*range.start()).next_multiple_of(2).max(2),
            u32::from(*range.end()),
        );
        if low > high {
            return Err(PortsError::Empty(*range.start(), *range.end()));
        }
        Ok(Ports {
            ip,
            first: low as u16,
            count: (high - low) / 2 + 1,
            range,
            rng: Rng::new(seed),
        })
    }

    /// A non-blocking socket on a random free even port, and which. Tries every port once, from a random one on:
    /// a nearly full range costs a few microseconds per taken port.
    ///
    /// # Errors
    /// [`PortsError::Exhausted`] or [`PortsError::Bind`].
    pub fn open(&mut self) -> Result<(UdpSocket, u16), PortsError> {
        let bind = |source| PortsError::Bind {
            ip: self.ip,
            source,
        };
        let start = self.rng.below(u64::from(self.count)) as u32;
        for i in 0..self.count {
            let port = self.first + 2 * ((start + i) % self.count) as u16;
            match bound(SocketAddr::new(self.ip, port)) {
                Ok(socket) => return Ok((socket, port)),
                Err(e)
                    if matches!(e.kind(), ErrorKind::AddrInUse | ErrorKind::PermissionDenied) => {}
                Err(e) => return Err(bind(e)),
            }
        }
        Err(PortsError::Exhausted(
            *self.range.start(),
            *self.range.end(),
        ))
    }
}

/// Non-blocking from the start: two system calls, which the standard library needs three for.
fn bound(at: SocketAddr) -> std::io::Result<UdpSocket> {
    let family = match at {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = net::socket_with(family, SocketType::DGRAM, flags, None)?;
    net::bind(&socket, &at)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    /// Two free neighbours, found by asking the kernel.
    fn free_range() -> RangeInclusive<u16> {
        let socket = UdpSocket::bind((LOOPBACK, 0)).unwrap();
        let even = socket.local_addr().unwrap().port() & !1;
        even..=even + 1
    }

    #[test]
    fn a_port_is_even_exhausts_and_comes_back() {
        let range = free_range();
        let mut ports = Ports::new(LOOPBACK, range.clone(), 1).unwrap();
        let (first, port) = ports.open().unwrap();
        assert_eq!(port, *range.start());
        assert_eq!(first.local_addr().unwrap().port(), port);
        assert!(matches!(ports.open(), Err(PortsError::Exhausted(..))));
        drop(first);
        assert!(ports.open().is_ok());
    }

    #[test]
    fn ports_are_even_and_not_in_order() {
        let mut ports = Ports::new(LOOPBACK, 20_001..=65_535, 7).unwrap();
        let sockets: Vec<_> = (0..20).map(|_| ports.open().unwrap()).collect();
        let numbers: Vec<u16> = sockets
            .iter()
            .map(|(socket, port)| {
                assert_eq!(socket.local_addr().unwrap().port(), *port);
                *port
            })
            .collect();
        assert!(numbers.iter().all(|n| n % 2 == 0 && *n > 20_001));
        assert!(!numbers.is_sorted());
    }

    #[test]
    fn a_range_without_an_even_port_and_a_foreign_address_are_errors() {
        assert!(matches!(
            Ports::new(LOOPBACK, 5..=5, 1),
            Err(PortsError::Empty(5, 5))
        ));
        let elsewhere = "192.0.2.1".parse().unwrap();
        assert!(matches!(
            Ports::new(elsewhere, 40_000..=40_010, 1).unwrap().open(),
            Err(PortsError::Bind { .. })
        ));
    }
}
