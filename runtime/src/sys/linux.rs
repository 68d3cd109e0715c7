//! Linux.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net as unix;
use std::path::Path;
use std::process::Child;

use nix::libc::sockaddr_un;
use rustix::event::PollFlags;
use rustix::fs::OFlags;
use rustix::net::{
    RecvFlags, SendFlags, SocketAddrAny, SocketAddrUnix, SocketFlags, acceptfrom_with, recv,
    recvfrom,
};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

pub(crate) use super::defer_accept::set as defer_accept;
use super::no_signal;

/// The flag against SIGPIPE (`MSG_NOSIGNAL`).
pub(crate) const NO_SIGNAL: SendFlags = SendFlags::NOSIGNAL;

/// The flag of the last bytes before the end of a stream: TCP may hold them back for the FIN (`MSG_MORE`).
pub(crate) const LAST: SendFlags = SendFlags::MORE;

/// The conditions under which a read need not wait (`poll(2)`).
pub(crate) const POLL_READ: PollFlags = PollFlags::IN.union(PollFlags::RDHUP);

/// The flags with which a folder is opened only to ask for facts about it (`O_PATH`).
pub(crate) const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY);

/// Opens a socket.
pub(crate) fn open(domain: Domain, kind: Type, protocol: Option<Protocol>) -> io::Result<Socket> {
    // No thread can fork before the flags are set, because the call sets them.
    Socket::new(domain, kind.nonblocking().cloexec(), protocol)
}

/// Accepts a connection (`accept4(2)`).
pub(crate) fn accept(listener: &impl AsFd) -> io::Result<(OwnedFd, Option<SocketAddrAny>)> {
    // `accept4` sets both flags in the same call, so no thread can fork in between and leak the descriptor.
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    Ok(acceptfrom_with(listener, flags)?)
}

/// Receives a datagram. Returns the number of bytes in the buffer, and true if the datagram was cut.
pub(crate) fn receive(socket: &impl AsFd, buffer: &mut [u8]) -> io::Result<(usize, bool)> {
    // With this flag the call returns the length of the datagram also if the buffer is shorter (`recv(2)`). So no
    // `recvmsg` is needed, which costs more. // LOG S1
    let (bytes, length) = recv(socket, buffer, RecvFlags::TRUNC)?;
    Ok((bytes, length > bytes))
}

/// Receives a datagram. Returns also the address of its sender.
pub(crate) fn receive_from(
    socket: &impl AsFd,
    buffer: &mut [u8],
    flags: RecvFlags,
) -> io::Result<(usize, Option<SocketAddrAny>, bool)> {
    let (bytes, length, from) = recvfrom(socket, buffer, flags | RecvFlags::TRUNC)?;
    Ok((bytes, from, length > bytes))
}

/// Sends bytes of a file to a socket, and adds their number to `offset` (`sendfile(2)`).
pub(crate) fn send_file(
    socket: &impl AsFd,
    file: BorrowedFd<'_>,
    offset: &mut u64,
    count: usize,
) -> io::Result<usize> {
    Ok(no_signal::while_calling(|| {
        rustix::fs::sendfile(socket, file, Some(offset), count)
    })?)
}

/// Returns the address of an abstract name, which begins with a zero byte (`unix(7)`).
pub(crate) fn abstract_address(name: &[u8]) -> io::Result<SockAddr> {
    // socket2 takes a path that begins with a zero byte as an abstract name.
    let whole = [b"\0", name].concat();
    SockAddr::unix(Path::new(OsStr::from_bytes(&whole)))
}

/// Converts the address of a Unix socket. `None` is a socket without a name.
///
/// A path of 108 bytes becomes an address without a name. The kernel accepts it, and the address type of the standard
/// library cannot be made of it.
pub(crate) fn unix_address(address: Option<SocketAddrAny>) -> io::Result<unix::SocketAddr> {
    // The address of such a path is one byte longer than the structure (`unix(7)`), and rustix panics on it.
    let fits = |address: &SocketAddrAny| address.addr_len() as usize <= size_of::<sockaddr_un>();
    // The kernel leaves the address out for a sender that was never bound.
    let Some(address) = address.filter(fits) else {
        return unix::SocketAddr::from_pathname("");
    };
    let address = SocketAddrUnix::try_from(address)?;
    match (address.path_bytes(), address.abstract_name()) {
        (Some(path), _) => unix::SocketAddr::from_pathname(OsStr::from_bytes(path)),
        (None, Some(name)) => unix::SocketAddr::from_abstract_name(name),
        (None, None) => unix::SocketAddr::from_pathname(""),
    }
}

/// Opens a descriptor that is readable when this child has ended (`pidfd_open(2)`, Linux 5.3). It must not be
/// reaped yet, so that its number is not that of another process.
pub(crate) fn open_pidfd(child: &Child) -> io::Result<OwnedFd> {
    // The descriptor is close-on-exec, and it is only waited for, so it may be blocking.
    Ok(pidfd_open(Pid::from_child(child), PidfdFlags::empty())?)
}
