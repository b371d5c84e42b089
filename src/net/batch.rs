//! `recvmmsg` and `sendmmsg` over a UDP socket: many datagrams with one system call.
//!
//! The only module of this process with `unsafe`. All buffers are made once and live as long as the
//! batch; the kernel is only ever handed pointers made in the call that uses them. The standard
//! library has no such calls, and the measured gain is more than half of a datagram's cost.
#![allow(
    unsafe_code,
    reason = "recvmmsg and sendmmsg are not in the standard library or in rustix"
)]

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::AsRawFd;

/// More than this the kernel does not take in one call (UIO_MAXIOV).
pub const BATCH_MAX: usize = 1024;

/// Datagrams received together.
pub struct RecvBatch {
    buffers: Vec<u8>,
    buffer_len: usize,
    names: Vec<libc::sockaddr_storage>,
    lens: Vec<usize>,
    iovecs: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
    received: usize,
}

// SAFETY: the raw pointers inside `iovecs` and `headers` are written anew in every `recv`, point into
// vectors of the same struct, and are never read outside that call.
unsafe impl Send for RecvBatch {}

fn no_name() -> libc::sockaddr_storage {
    // SAFETY: `sockaddr_storage` is plain old data for which all zeroes is a value (AF_UNSPEC).
    unsafe { std::mem::zeroed() }
}

fn no_header() -> libc::mmsghdr {
    // SAFETY: `mmsghdr` is plain old data; null pointers with zero lengths are a value.
    unsafe { std::mem::zeroed() }
}

fn no_iovec() -> libc::iovec {
    libc::iovec {
        iov_base: std::ptr::null_mut(),
        iov_len: 0,
    }
}

impl RecvBatch {
    /// Room for `n` datagrams (1 to [`BATCH_MAX`]) of up to `buffer_len` bytes; longer ones are cut.
    pub fn new(n: usize, buffer_len: usize) -> RecvBatch {
        let n = n.clamp(1, BATCH_MAX);
        RecvBatch {
            buffers: vec![0; n * buffer_len],
            buffer_len,
            names: vec![no_name(); n],
            lens: vec![0; n],
            iovecs: vec![no_iovec(); n],
            headers: vec![no_header(); n],
            received: 0,
        }
    }

    /// Receives what is there, without waiting, and returns how many datagrams that was.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if nothing is there; otherwise what the kernel says.
    pub fn recv(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        self.received = 0;
        let n = self.headers.len();
        for i in 0..n {
            // One buffer per entry, in bounds: `buffers` has `n * buffer_len` bytes.
            let base = self.buffers[i * self.buffer_len..(i + 1) * self.buffer_len].as_mut_ptr();
            self.iovecs[i] = libc::iovec {
                iov_base: base.cast(),
                iov_len: self.buffer_len,
            };
            let header = &mut self.headers[i];
            header.msg_hdr.msg_name = (&raw mut self.names[i]).cast();
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_hdr.msg_iov = &raw mut self.iovecs[i];
            header.msg_hdr.msg_iovlen = 1;
            header.msg_len = 0;
        }
        // SAFETY: `headers` has `n` entries; each points to its own name and buffer in vectors that
        // this struct owns and that nobody touches during the call. The timeout may be null.
        let got = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                n as libc::c_uint,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        if got < 0 {
            return Err(io::Error::last_os_error());
        }
        self.received = (got as usize).min(n);
        for i in 0..self.received {
            self.lens[i] = (self.headers[i].msg_len as usize).min(self.buffer_len);
        }
        Ok(self.received)
    }

    /// What the last [`RecvBatch::recv`] received: where from, and the bytes.
    pub fn iter(&self) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        (0..self.received).filter_map(|i| {
            let start = i * self.buffer_len;
            Some((
                address(&self.names[i])?,
                &self.buffers[start..start + self.lens[i]],
            ))
        })
    }
}

/// Datagrams to be sent together.
pub struct SendBatch {
    bytes: Vec<u8>,
    /// Where each datagram ends in `bytes`.
    ends: Vec<usize>,
    names: Vec<(libc::sockaddr_storage, libc::socklen_t)>,
    iovecs: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
    max: usize,
}

// SAFETY: as for `RecvBatch`: the pointers are written and used within one `flush`.
unsafe impl Send for SendBatch {}

/// What became of a flush.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flushed {
    /// Datagrams the kernel took.
    pub sent: usize,
    /// Datagrams it refused, one by one: unreachable, too long, no room.
    pub failed: usize,
}

impl SendBatch {
    /// Room for `n` datagrams (1 to [`BATCH_MAX`]); buffers grow to what is pushed and are kept.
    pub fn new(n: usize) -> SendBatch {
        let max = n.clamp(1, BATCH_MAX);
        SendBatch {
            bytes: Vec::with_capacity(max * 1500),
            ends: Vec::with_capacity(max),
            names: Vec::with_capacity(max),
            iovecs: vec![no_iovec(); max],
            headers: vec![no_header(); max],
            max,
        }
    }

    /// Adds one datagram; `false` if the batch is full and has to be flushed first.
    #[must_use]
    pub fn push(&mut self, to: SocketAddr, datagram: &[u8]) -> bool {
        if self.ends.len() == self.max {
            return false;
        }
        self.bytes.extend_from_slice(datagram);
        self.ends.push(self.bytes.len());
        self.names.push(name(to));
        true
    }

    /// How many datagrams wait.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Sends all that wait. A datagram the kernel refuses is counted and left out; the rest goes on.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if the socket's buffer is full: what is unsent stays and the next
    /// flush goes on with it.
    pub fn flush(&mut self, socket: &UdpSocket) -> io::Result<Flushed> {
        let mut flushed = Flushed::default();
        let n = self.ends.len();
        let mut start = 0;
        for i in 0..n {
            let end = self.ends[i];
            let base = self.bytes[start..end].as_mut_ptr();
            self.iovecs[i] = libc::iovec {
                iov_base: base.cast(),
                iov_len: end - start,
            };
            let header = &mut self.headers[i];
            header.msg_hdr.msg_name = (&raw mut self.names[i].0).cast();
            header.msg_hdr.msg_namelen = self.names[i].1;
            header.msg_hdr.msg_iov = &raw mut self.iovecs[i];
            header.msg_hdr.msg_iovlen = 1;
            start = end;
        }
        let mut at = 0;
        while at < n {
            let rest = &mut self.headers[at..n];
            // SAFETY: `rest` are initialised headers; each points to its own name, iovec and bytes in
            // vectors this struct owns, none of which changes before the call returns.
            let sent = unsafe {
                libc::sendmmsg(
                    socket.as_raw_fd(),
                    rest.as_mut_ptr(),
                    rest.len() as libc::c_uint,
                    libc::MSG_DONTWAIT,
                )
            };
            if sent >= 0 {
                flushed.sent += sent as usize;
                at += (sent as usize).max(1);
                continue;
            }
            let error = io::Error::last_os_error();
            match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock => {
                    self.keep_from(at);
                    return Err(error);
                }
                // The first of the rest is refused, or an ICMP error of an earlier one is told now.
                _ => {
                    flushed.failed += 1;
                    at += 1;
                }
            }
        }
        self.keep_from(n);
        Ok(flushed)
    }

    fn keep_from(&mut self, at: usize) {
        let gone = if at == 0 { 0 } else { self.ends[at - 1] };
        self.bytes.drain(..gone);
        self.ends.drain(..at);
        self.names.drain(..at);
        for end in &mut self.ends {
            *end -= gone;
        }
    }
}

fn address(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match libc::c_int::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the kernel says this is an IPv4 address; the storage is larger and aligned.
            let v4 = unsafe { &*std::ptr::from_ref(name).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above, for IPv6.
            let v6 = unsafe { &*std::ptr::from_ref(name).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            Some(
                SocketAddrV6::new(
                    ip,
                    u16::from_be(v6.sin6_port),
                    v6.sin6_flowinfo,
                    v6.sin6_scope_id,
                )
                .into(),
            )
        }
        _ => None,
    }
}

fn name(address: SocketAddr) -> (libc::sockaddr_storage, libc::socklen_t) {
    let mut name = no_name();
    let len = match address {
        SocketAddr::V4(v4) => {
            let raw = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: v4.port().to_be(),
                sin_addr: libc::in_addr {
                    s_addr: u32::from(*v4.ip()).to_be(),
                },
                sin_zero: [0; 8],
            };
            // SAFETY: `sockaddr_storage` is large and aligned enough for every address family.
            unsafe { (&raw mut name).cast::<libc::sockaddr_in>().write(raw) };
            size_of::<libc::sockaddr_in>()
        }
        SocketAddr::V6(v6) => {
            let raw = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: v6.flowinfo(),
                sin6_addr: libc::in6_addr {
                    s6_addr: v6.ip().octets(),
                },
                sin6_scope_id: v6.scope_id(),
            };
            // SAFETY: as above.
            unsafe { (&raw mut name).cast::<libc::sockaddr_in6>().write(raw) };
            size_of::<libc::sockaddr_in6>()
        }
    };
    (name, len as libc::socklen_t)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn pair(ip: &str) -> (UdpSocket, UdpSocket) {
        let socket = || {
            let s = UdpSocket::bind((ip, 0)).unwrap();
            s.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            s
        };
        (socket(), socket())
    }

    /// Loopback delivers within the sending call, so what was sent is there.
    fn there_and_back(ip: &str) {
        let (a, b) = pair(ip);
        let mut out = SendBatch::new(4);
        for i in 0..4u8 {
            assert!(out.push(b.local_addr().unwrap(), &vec![i; usize::from(i) * 100]));
        }
        assert!(!out.push(b.local_addr().unwrap(), b"full"));
        assert_eq!(out.flush(&a).unwrap(), Flushed { sent: 4, failed: 0 });
        assert!(out.is_empty());
        let mut batch = RecvBatch::new(3, 250);
        assert_eq!(batch.recv(&b).unwrap(), 3);
        let got: Vec<_> = batch
            .iter()
            .map(|(from, bytes)| (from, bytes.to_vec()))
            .collect();
        assert_eq!(got[2], (a.local_addr().unwrap(), vec![2; 200]));
        assert_eq!(got[0].1.len(), 0);
        assert_eq!(batch.recv(&b).unwrap(), 1);
        assert_eq!(
            batch.iter().next().unwrap().1,
            vec![3; 250],
            "cut to the buffer"
        );
        assert_eq!(
            batch.recv(&b).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        assert_eq!(batch.iter().count(), 0);
    }

    #[test]
    fn datagrams_go_there_and_back_over_ipv4() {
        there_and_back("127.0.0.1");
    }

    #[test]
    fn datagrams_go_there_and_back_over_ipv6_where_there_is_any() {
        if UdpSocket::bind("[::1]:0").is_ok() {
            there_and_back("::1");
        }
    }

    #[test]
    fn one_refused_datagram_does_not_stop_the_others() {
        let (a, b) = pair("127.0.0.1");
        let to = b.local_addr().unwrap();
        let mut out = SendBatch::new(8);
        assert!(out.push(to, b"one"));
        assert!(out.push(to, &vec![0; 70_000]));
        assert!(out.push(to, b"two"));
        assert_eq!(out.flush(&a).unwrap(), Flushed { sent: 2, failed: 1 });
        let mut batch = RecvBatch::new(8, 100);
        assert_eq!(batch.recv(&b).unwrap(), 2);
        assert_eq!(batch.iter().nth(1).unwrap().1, b"two");
    }

    #[test]
    fn addresses_survive_the_kernels_form() {
        for text in ["1.2.3.4:5", "[2001:db8::7]:65535", "[fe80::1%3]:9"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(super::address(&name(address).0), Some(address));
        }
        assert_eq!(super::address(&no_name()), None);
    }
}
