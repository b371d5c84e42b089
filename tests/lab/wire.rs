//! SIP by hand: messages as text over a socket, for what no polite program sends.

use super::PATIENCE;
use sip::digest::{DigestChallenge, Use};
use sip::message::{Message, Method, Name};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

/// Given to an answer before it is asked for again.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// A UDP socket that speaks to one peer.
pub struct Wire {
    pub socket: UdpSocket,
    pub peer: SocketAddr,
    asked: u32,
}

impl Wire {
    /// From `ip`, on a port of the system's choice.
    pub fn udp(ip: IpAddr, peer: SocketAddr) -> Wire {
        Wire::bound(SocketAddr::new(ip, 0), peer)
    }

    /// From this port.
    pub fn bound(at: SocketAddr, peer: SocketAddr) -> Wire {
        let socket = UdpSocket::bind(at).expect("the port is free");
        Wire {
            socket,
            peer,
            asked: 0,
        }
    }

    /// Where it is.
    pub fn local(&self) -> SocketAddr {
        self.socket
            .local_addr()
            .expect("a bound socket has an address")
    }

    /// Sends.
    pub fn send(&self, bytes: &[u8]) {
        self.socket
            .send_to(bytes, self.peer)
            .expect("a datagram can be sent");
    }

    /// The next message, if one comes in this time.
    pub fn receive(&self, patience: Duration) -> Option<String> {
        let mut buffer = vec![0; 65_535];
        self.socket
            .set_read_timeout(Some(patience))
            .expect("a timeout can be set");
        let (read, _) = self.socket.recv_from(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..read]).into_owned())
    }

    /// A request in an honest form.
    pub fn request(&self, method: &str, user: &str, call: &str, more: &str, body: &str) -> String {
        let local = self.local();
        let at = if user.is_empty() {
            String::new()
        } else {
            format!("{user}@")
        };
        format!(
            "{method} sip:{at}{peer} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{call};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:+15550100@{local}>;tag={call}\r\nTo: <sip:{at}{peer}>\r\n\
             Call-ID: {call}\r\nCSeq: 1 {method}\r\nContact: <sip:{local}>\r\n{more}Content-Length: {}\r\n\r\n{body}",
            body.len(),
            peer = self.peer,
        )
    }

    /// Registers an account as being here, by digest; gives the final status.
    pub fn register(&self, user: &str, password: &str) -> u16 {
        let (local, peer) = (self.local(), self.peer);
        let request = |cseq: u32, more: &str| {
            format!(
                "REGISTER sip:{peer} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{user}{cseq};rport\r\n\
                 Max-Forwards: 70\r\nFrom: <sip:{user}@{peer}>;tag={user}\r\nTo: <sip:{user}@{peer}>\r\n\
                 Call-ID: register-{user}\r\nCSeq: {cseq} REGISTER\r\nContact: <sip:{user}@{local}>\r\n\
                 Expires: 3600\r\n{more}Content-Length: 0\r\n\r\n"
            )
        };
        let challenge = self.final_answer(&request(1, ""), "1 REGISTER");
        let message = Message::parse(challenge.as_bytes()).expect("the engine writes well");
        let challenge =
            DigestChallenge::choose(&message, Name::WwwAuthenticate).expect("a challenge");
        let uri = format!("sip:{peer}");
        let usage = Use {
            nc: 1,
            cnonce: "wire",
        };
        let proof = challenge.authorize(user, password, Method::Register, &uri, usage);
        let answer = self.final_answer(
            &request(2, &format!("Authorization: {proof}\r\n")),
            "2 REGISTER",
        );
        status(&answer).expect("a response")
    }

    /// The status of the final answer to a request, which is repeated until it comes;
    /// the answer has `mark` in it.
    pub fn final_status(&self, request: &str, mark: &str) -> u16 {
        status(&self.final_answer(request, mark)).expect("a response")
    }

    fn final_answer(&self, request: &str, mark: &str) -> String {
        for _ in 0..PATIENCE.as_secs() * 2 {
            self.send(request.as_bytes());
            while let Some(answer) = self.receive(ASK_AGAIN) {
                if status(&answer).is_some_and(|status| status >= 200) && answer.contains(mark) {
                    return answer;
                }
            }
        }
        panic!("no final answer to:\n{request}");
    }

    /// Asks with OPTIONS once.
    pub fn ask_options(&mut self) -> Option<u16> {
        self.asked += 1;
        let call = format!("options{}x{}", self.local().port(), self.asked);
        self.send(self.request("OPTIONS", "", &call, "", "").as_bytes());
        let answer = self.receive(ASK_AGAIN)?;
        status(&answer)
    }
}

/// The status of a response.
pub fn status(message: &str) -> Option<u16> {
    message.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
}

/// A description of media that is never sent to.
pub fn sdp(ip: IpAddr) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8\r\n\
         a=rtpmap:8 PCMA/8000\r\n"
    )
}

/// Sends bytes over a new TCP connection and gives everything that comes back until a final status,
/// the end of the stream, or the answer to an OPTIONS sent behind them.
pub fn over_tcp(ip: IpAddr, peer: SocketAddr, bytes: &[u8]) -> (Option<u16>, bool) {
    let stream = connect_from(ip, peer);
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("a timeout can be set");
    let mut stream = stream;
    let local = stream
        .local_addr()
        .expect("a connected socket has an address");
    let ping = format!(
        "OPTIONS sip:{peer} SIP/2.0\r\nVia: SIP/2.0/TCP {local};branch=z9hG4bKbehind\r\nMax-Forwards: 70\r\n\
         From: <sip:a@{local}>;tag=1\r\nTo: <sip:{peer}>\r\nCall-ID: behind\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    );
    // A peer that has closed refuses the rest; what it said is still to be read.
    let sent = stream
        .write_all(bytes)
        .and_then(|()| stream.write_all(ping.as_bytes()));
    let (mut text, mut first) = (String::new(), None);
    let mut buffer = vec![0; 65_535];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return (first.or_else(|| final_of(&text)), true),
            Ok(read) => text.push_str(&String::from_utf8_lossy(&buffer[..read])),
        }
        first = final_of(&text);
        if sent.is_ok() && text.contains("Call-ID: behind") {
            return (first, false);
        }
    }
}

/// The first final status that is not the one of the OPTIONS behind.
fn final_of(text: &str) -> Option<u16> {
    let mut found = None;
    for message in text.split("SIP/2.0 ").skip(1) {
        // A Via begins with the same letters.
        let Some(code) = message.get(..3).and_then(|code| code.parse::<u16>().ok()) else {
            continue;
        };
        if code >= 200 && !message.contains("Call-ID: behind") && found.is_none() {
            found = Some(code);
        }
    }
    found
}

/// A TCP connection from an address of choice.
pub fn connect_from(ip: IpAddr, peer: SocketAddr) -> TcpStream {
    use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    bind(&socket, &SocketAddr::new(ip, 0)).expect("the address is ours");
    connect(&socket, &peer).expect("the peer listens");
    TcpStream::from(socket)
}
