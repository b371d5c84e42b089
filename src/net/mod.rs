//! Sockets towards the outside, and the line that wakes the control thread.

pub mod batch;
pub mod tcp;
pub mod waker;

use std::net::UdpSocket;

/// Asks the kernel for larger buffers; it grants what the system allows (`net.core.rmem_max`).
pub fn enlarge_buffers(socket: &UdpSocket, bytes: usize) {
    for asked in [
        rustix::net::sockopt::set_socket_recv_buffer_size(socket, bytes),
        rustix::net::sockopt::set_socket_send_buffer_size(socket, bytes),
    ] {
        if let Err(error) = asked {
            tracing::debug!(%error, "the SIP socket keeps its default buffer");
        }
    }
}
