//! Files, processes and signals: the answer comes from a thread or from the kernel.
//!
//! The clock of these tests is paused, so none of them waits for a time.

use std::os::unix::process::ExitStatusExt;

use crate::support::process::alone;
use crate::support::seeds::{SOME, dice, dropped_after, under_seeds};
use futures_lite::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use waterwheel::runtime::fs::{self, File};
use waterwheel::runtime::process::Command;
use waterwheel::runtime::signal::{self, Signal};
use waterwheel::runtime::yield_now;

#[test]
fn reads_of_a_file_that_are_dropped_anywhere_return_each_byte_once() {
    let path = std::env::temp_dir().join(format!("ww-dropped-{}", std::process::id()));
    let content: Vec<u8> = (0..60_000_u32).flat_map(u32::to_le_bytes).collect();
    std::fs::write(&path, &content).unwrap();
    under_seeds(SOME, |seed| {
        let (path, content) = (path.clone(), content.clone());
        async move {
            let mut rolls = dice(seed);
            let mut file = loop {
                if let Some(file) = dropped_after(rolls(4), File::open(&path)).await {
                    break file.unwrap();
                }
                yield_now().await;
            };
            let mut read = Vec::new();
            let mut buffer = vec![0; 50_000];
            loop {
                let room = 1 + rolls(50_000) as usize;
                match dropped_after(rolls(4), file.read(&mut buffer[..room])).await {
                    Some(Ok(0)) => break,
                    Some(count) => read.extend_from_slice(&buffer[..count.unwrap()]),
                    None => yield_now().await,
                }
            }
            assert!(read == content);
            // A seek that was dropped does not move a later one.
            let target = std::io::SeekFrom::Start(u64::from(rolls(1000)));
            _ = dropped_after(rolls(3), file.seek(std::io::SeekFrom::Start(7))).await;
            let at = file.seek(target).await.unwrap();
            file.read_exact(&mut buffer[..4]).await.unwrap();
            assert_eq!(buffer[..4], content[usize::try_from(at).unwrap()..][..4]);
        }
    });
    std::fs::remove_file(path).unwrap();
}

#[test]
fn bytes_that_a_file_has_accepted_are_written_although_later_calls_are_dropped() {
    let path = std::env::temp_dir().join(format!("ww-dropped-write-{}", std::process::id()));
    under_seeds(SOME, |seed| {
        let path = path.clone();
        async move {
            let mut rolls = dice(seed);
            let mut file = File::create(&path).await.unwrap();
            let mut accepted = Vec::new();
            for number in 0..20_u8 {
                let piece = vec![number; 1 + rolls(5000) as usize];
                if let Some(count) = dropped_after(rolls(3), file.write(&piece)).await {
                    accepted.extend_from_slice(&piece[..count.unwrap()]);
                }
                _ = dropped_after(rolls(3), file.flush()).await;
            }
            file.close().await.unwrap();
            assert!(fs::read(&path).await.unwrap() == accepted);
        }
    });
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_function_of_fs_that_is_dropped_anywhere_leaves_the_pool_usable() {
    let folder = std::env::temp_dir().join(format!("ww-dropped-folder-{}", std::process::id()));
    under_seeds(SOME, |seed| {
        let folder = folder.clone();
        async move {
            let mut rolls = dice(seed);
            let (a, b) = (folder.join("a"), folder.join("b"));
            fs::create_dir_all(&folder).await.unwrap();
            _ = dropped_after(rolls(3), fs::write(&a, "water")).await;
            _ = dropped_after(rolls(3), fs::read(&a)).await;
            _ = dropped_after(rolls(3), fs::metadata(&a)).await;
            _ = dropped_after(rolls(3), fs::copy(&a, &b)).await;
            _ = dropped_after(rolls(3), fs::rename(&b, &a)).await;
            _ = dropped_after(rolls(3), fs::create_dir(folder.join("c"))).await;
            let mut entries = fs::read_dir(&folder).await.unwrap();
            loop {
                match dropped_after(rolls(3), entries.next_entry()).await {
                    Some(Ok(None)) => break,
                    Some(entry) => assert!(entry.unwrap().is_some()),
                    None => yield_now().await,
                }
            }
            // A job that was dropped after it has begun may still make a file.
            while fs::remove_dir_all(&folder).await.is_err() {
                yield_now().await;
            }
        }
    });
    drop(std::fs::remove_dir_all(folder));
}

#[test]
fn a_child_whose_waits_are_dropped_anywhere_returns_its_status_once_and_leaves_no_zombie() {
    under_seeds(SOME / 4, |seed| async move {
        let mut rolls = dice(seed);
        let code = rolls(100);
        let mut child = Command::new("sh")
            .args(["-c", &format!("exit {code}")])
            .spawn()
            .unwrap();
        let id = child.id();
        let status = loop {
            if let Some(status) = dropped_after(rolls(4), child.wait()).await {
                break status.unwrap();
            }
            yield_now().await;
        };
        assert_eq!(status.into_raw() >> 8, code.cast_signed());
        assert!(!std::path::Path::new(&format!("/proc/{id}/stat")).exists());
        // The future of `output` owns its child, which is killed with it.
        let mut command = Command::new("sh");
        command.args(["-c", "echo water"]).kill_on_drop(true);
        _ = dropped_after(rolls(6), command.output()).await;
        assert_eq!(command.output().await.unwrap().stdout, b"water\n");
    });
}

#[test]
fn a_signal_whose_receives_are_dropped_anywhere_is_received_once() {
    // A signal is for the whole process.
    alone(|| {
        under_seeds(SOME, |seed| async move {
            let mut rolls = dice(seed);
            let mut signals = signal::listen(&[Signal::USER1]).unwrap();
            _ = dropped_after(rolls(3), signals.recv()).await;
            signal_hook::low_level::raise(Signal::USER1.as_raw()).unwrap();
            let mut received = 0;
            for _ in 0..20 {
                if dropped_after(rolls(3), signals.recv()).await.is_some() {
                    received += 1;
                }
                yield_now().await;
            }
            assert_eq!(received, 1);
        });
    });
}
