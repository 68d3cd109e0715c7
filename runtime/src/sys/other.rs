//! macOS and FreeBSD. This file is compiled for them, and not tested there.

use std::ffi::OsStr;
use std::io::{self, ErrorKind, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net as unix;
use std::process::Child;
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::fs::OFlags;
use rustix::io::{FdFlags, fcntl_setfd, ioctl_fionbio, pread};
use rustix::net::{
    RecvAncillaryBuffer, RecvFlags, ReturnFlags, SendFlags, SocketAddrAny, SocketAddrUnix,
    acceptfrom, recvmsg, send,
};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// The flag against SIGPIPE (`MSG_NOSIGNAL`).
#[cfg(not(target_vendor = "apple"))]
pub(crate) const NO_SIGNAL: SendFlags = SendFlags::NOSIGNAL;

/// macOS has no such flag. Each socket has an option instead (`SO_NOSIGPIPE`).
#[cfg(target_vendor = "apple")]
pub(crate) const NO_SIGNAL: SendFlags = SendFlags::empty();

/// The last bytes need no flag: they are sent before the FIN.
pub(crate) const LAST: SendFlags = SendFlags::empty();

/// The conditions under which a read need not wait (`poll(2)`). The end of the stream is one of them.
pub(crate) const POLL_READ: PollFlags = PollFlags::IN;

/// The flags with which a folder is opened to ask for facts about it.
pub(crate) const FOLDER: OFlags = OFlags::DIRECTORY;

/// The bytes of a file that one call reads and sends.
const FILE_BYTES: usize = 64 * 1024;

/// Opens a socket. socket2 sets it close-on-exec, and on macOS sets the option against SIGPIPE.
pub(crate) fn open(domain: Domain, kind: Type, protocol: Option<Protocol>) -> io::Result<Socket> {
    // A flag of the call for non-blocking is not on all of these systems.
    let socket = Socket::new(domain, kind, protocol)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Accepts a connection. macOS has no `accept4`, so a thread that forks in between leaks the descriptor.
pub(crate) fn accept(listener: &impl AsFd) -> io::Result<(OwnedFd, Option<SocketAddrAny>)> {
    let (socket, peer) = acceptfrom(listener)?;
    fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
    ioctl_fionbio(&socket, true)?;
    // macOS has no flag against SIGPIPE, so each socket has the option.
    #[cfg(target_vendor = "apple")]
    socket2::SockRef::from(&socket).set_nosigpipe(true)?;
    Ok((socket, peer))
}

/// Receives a datagram. Returns the number of bytes in the buffer, and true if the datagram was cut.
pub(crate) fn receive(socket: &impl AsFd, buffer: &mut [u8]) -> io::Result<(usize, bool)> {
    let (bytes, _, is_cut) = receive_from(socket, buffer, RecvFlags::empty())?;
    Ok((bytes, is_cut))
}

/// Receives a datagram. Returns also the address of its sender. Only `recvmsg(2)` reports here that the datagram was
/// cut.
pub(crate) fn receive_from(
    socket: &impl AsFd,
    buffer: &mut [u8],
    flags: RecvFlags,
) -> io::Result<(usize, Option<SocketAddrAny>, bool)> {
    let nothing = &mut RecvAncillaryBuffer::default();
    let received = recvmsg(socket, &mut [IoSliceMut::new(buffer)], nothing, flags)?;
    let is_cut = received.flags.contains(ReturnFlags::TRUNC);
    Ok((received.bytes, received.address, is_cut))
}

/// Sends bytes of a file to a socket, and adds their number to `offset`. Each system has a `sendfile` of its own,
/// so this reads and sends.
pub(crate) fn send_file(
    socket: &impl AsFd,
    file: BorrowedFd<'_>,
    offset: &mut u64,
    count: usize,
) -> io::Result<usize> {
    // On the heap, because a stack of a thread may be small on these systems.
    let mut buffer = vec![0; count.min(FILE_BYTES)];
    let read = pread(file, &mut buffer, *offset)?;
    if read == 0 {
        return Ok(0);
    }
    // Bytes that the socket does not take are read again in the next call.
    let sent = send(socket, &buffer[..read], NO_SIGNAL)?;
    *offset += sent as u64;
    Ok(sent)
}

/// Linux alone has abstract names.
pub(crate) fn abstract_address(_: &[u8]) -> io::Result<SockAddr> {
    let text = "this system has no abstract names of sockets";
    Err(io::Error::new(ErrorKind::Unsupported, text))
}

/// Converts the address of a Unix socket. `None` is a socket without a name, and so is a path without a zero byte at its
/// end, which rustix and the standard library refuse.
pub(crate) fn unix_address(address: Option<SocketAddrAny>) -> io::Result<unix::SocketAddr> {
    let address = address.and_then(|address| SocketAddrUnix::try_from(address).ok());
    let path = address.as_ref().and_then(SocketAddrUnix::path_bytes);
    unix::SocketAddr::from_pathname(OsStr::from_bytes(path.unwrap_or_default()))
}

/// There is no such descriptor, and SIGCHLD reports the end of a child.
pub(crate) fn open_pidfd(_: &Child) -> io::Result<OwnedFd> {
    Err(ErrorKind::Unsupported.into())
}

/// Linux alone has this option. Without it, each connection is accepted at once.
#[expect(clippy::unnecessary_wraps, reason = "the other form can fail")]
pub(crate) fn defer_accept(_: &impl AsFd, _: Duration) -> io::Result<()> {
    Ok(())
}
