//! Claims about pipes: ends, named pipes, signals, descriptors for children.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::process::alone;
use crate::support::runtime::run;
use futures_lite::future::poll_once;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use waterwheel::runtime::io::{PipeReader, PipeWriter, pipe};
use waterwheel::runtime::time::{sleep, timeout};
use waterwheel::runtime::{join, spawn, spawn_blocking};

/// A named pipe that is removed at the end of a test.
struct Fifo(PathBuf);

impl Fifo {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ww-{name}-{}", std::process::id()));
        drop(std::fs::remove_file(&path));
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        Self(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Fifo {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

#[test]
fn a_pipe_carries_megabytes_and_its_end() {
    run(async {
        let (mut reader, mut writer) = pipe().unwrap();
        let sent = vec![7; 3 << 20];
        let write = async {
            writer.write_all(&sent).await.unwrap();
            writer.close().await.unwrap();
        };
        let mut received = Vec::new();
        let ((), read) = join(write, reader.read_to_end(&mut received)).await;
        assert_eq!(read.unwrap(), sent.len());
        let error = writer.write(b"x").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_reader_and_a_writer_wait_for_each_other() {
    run(async {
        let (mut reader, mut writer) = pipe().unwrap();
        assert!(poll_once(reader.read(&mut [0; 8])).await.is_none());
        assert_eq!(
            reader.try_read(&mut [0; 8]).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        let mut filled = 0;
        while let Ok(bytes) = writer.try_write(&[0; 4096]) {
            filled += bytes;
        }
        assert!(poll_once(writer.write(b"more")).await.is_none());
        reader.read_exact(&mut vec![0; filled]).await.unwrap();
        writer.write_all(b"more").await.unwrap();
        assert_eq!(reader.read(&mut [0; 8]).await.unwrap(), 4);
    });
}

/// A handler is installed, because a test's process ignores the signal.
#[test]
fn a_write_to_a_pipe_without_a_reader_is_an_error_and_no_signal() {
    alone(|| {
        let raised = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(signal_hook::consts::SIGPIPE, raised.clone()).unwrap();
        run(async {
            let (reader, mut writer) = pipe().unwrap();
            drop(reader);
            let error = writer.write(b"x").await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        });
        assert!(!raised.load(Ordering::SeqCst));
    });
}

/// Without a wait, the first read of a named pipe would report an end that never was.
#[test]
fn a_named_pipe_has_no_end_before_its_first_writer() {
    run(async {
        let fifo = Fifo::new("fifo-first");
        let mut reader = PipeReader::open(fifo.path()).unwrap();
        let mut buffer = [0; 8];
        assert!(poll_once(reader.read(&mut buffer)).await.is_none());
        let none = reader.try_read(&mut buffer).unwrap_err();
        assert_eq!(none.kind(), io::ErrorKind::WouldBlock);
        sleep(Duration::from_millis(5)).await;
        assert!(poll_once(reader.read(&mut buffer)).await.is_none());
        let mut writer = PipeWriter::open(fifo.path()).await.unwrap();
        writer.write_all(b"first").await.unwrap();
        assert_eq!(reader.read(&mut buffer).await.unwrap(), 5);
        drop(writer);
        assert_eq!(reader.read(&mut buffer).await.unwrap(), 0);
        // Another writer after the end.
        let mut writer = PipeWriter::open(fifo.path()).await.unwrap();
        writer.write_all(b"second").await.unwrap();
        assert_eq!(reader.read(&mut buffer).await.unwrap(), 6);
    });
}

#[test]
fn a_writer_of_a_named_pipe_waits_for_a_reader() {
    run(async {
        let fifo = Fifo::new("fifo-writer");
        let waits = timeout(Duration::from_millis(10), PipeWriter::open(fifo.path()));
        assert!(waits.await.is_err());
        let path = fifo.path().to_owned();
        let write = spawn(async move {
            let mut writer = PipeWriter::open(&path).await?;
            writer.write_all(b"late").await
        });
        sleep(Duration::from_millis(10)).await;
        let path = fifo.path().to_owned();
        let read = spawn_blocking(move || {
            let mut text = String::new();
            File::open(path).unwrap().read_to_string(&mut text).unwrap();
            text
        });
        write.await.unwrap().unwrap();
        assert_eq!(read.await.unwrap(), "late");
    });
}

#[test]
fn a_file_that_is_not_a_pipe_is_an_error() {
    run(async {
        let path = std::env::current_exe().unwrap();
        assert_eq!(
            PipeReader::open(&path).unwrap_err().kind(),
            io::ErrorKind::InvalidInput
        );
        let missing = PipeReader::open("/no/such/pipe").unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        let missing = PipeWriter::open("/no/such/pipe").await.unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    });
}

/// A child expects blocking descriptors: `cat` ends with an error otherwise.
#[test]
fn a_child_gets_a_blocking_end() {
    run(async {
        let (reader, mut writer) = pipe().unwrap();
        let (mut output, stdout) = pipe().unwrap();
        let mut child = Command::new("cat")
            .stdin(Stdio::from(reader.into_blocking_fd().unwrap()))
            .stdout(Stdio::from(stdout.into_blocking_fd().unwrap()))
            .spawn()
            .unwrap();
        sleep(Duration::from_millis(20)).await;
        writer.write_all(b"through a cat").await.unwrap();
        drop(writer);
        let mut text = String::new();
        output.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "through a cat");
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn a_descriptor_from_elsewhere_becomes_a_pipe() {
    run(async {
        let (reader, mut std_writer) = io::pipe().unwrap();
        let mut reader = PipeReader::from_fd(reader.into()).unwrap();
        std_writer.write_all(b"std").unwrap();
        assert_eq!(reader.read(&mut [0; 8]).await.unwrap(), 3);
    });
}

#[test]
fn a_reader_of_a_named_pipe_waits_for_the_bytes_of_each_writer() {
    run(async {
        let fifo = Fifo::new("fifo-again");
        let mut reader = PipeReader::open(fifo.path()).unwrap();
        let mut buffer = [0; 8];
        for round in 0..3 {
            let mut writer = PipeWriter::open(fifo.path()).await.unwrap();
            if round > 0 {
                assert!(poll_once(reader.read(&mut buffer)).await.is_none());
                sleep(Duration::from_millis(2)).await;
                assert!(poll_once(reader.read(&mut buffer)).await.is_none());
            }
            let late = spawn(async move {
                sleep(Duration::from_millis(2)).await;
                writer.write_all(b"wheel").await.unwrap();
                writer
            });
            assert_eq!(reader.read(&mut buffer).await.unwrap(), 5);
            let writer = late.await.unwrap();
            let late = spawn(async move {
                sleep(Duration::from_millis(2)).await;
                drop(writer);
            });
            assert_eq!(reader.read(&mut buffer).await.unwrap(), 0);
            late.await.unwrap();
            // The end stays until another writer comes.
            for _ in 0..3 {
                let again = timeout(Duration::from_secs(5), reader.read(&mut buffer));
                assert_eq!(again.await.expect("it is the end").unwrap(), 0);
            }
        }
    });
}

#[test]
fn the_end_of_a_pipe_is_returned_again_and_again() {
    run(async {
        for bytes in [&b""[..], b"12", b"12345678"] {
            for waits in [false, true] {
                let (mut reader, mut writer) = pipe().unwrap();
                let mut buffer = [0; 8];
                if waits {
                    assert!(poll_once(reader.read(&mut buffer)).await.is_none());
                }
                writer.write_all(bytes).await.unwrap();
                drop(writer);
                let mut all = Vec::new();
                reader.read_to_end(&mut all).await.unwrap();
                assert_eq!(all, bytes);
                for _ in 0..3 {
                    let again = timeout(Duration::from_secs(5), reader.read(&mut buffer));
                    assert_eq!(again.await.expect("it is the end").unwrap(), 0);
                }
            }
        }
    });
}
