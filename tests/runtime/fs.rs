//! Claims about files: no write is lost, the position is right, errors are reported, folders are listed.

use std::fs::OpenOptions;
use std::future::Future;
use std::io::{self, Read, SeekFrom};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use crate::support::runtime::{run, within_deadline};
use futures_lite::future::poll_once;
use futures_lite::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt, StreamExt};
use waterwheel::runtime::fs::{self, File};
use waterwheel::runtime::time::sleep;
use waterwheel::runtime::{Runtime, THREADS_MAX, spawn, spawn_blocking, yield_now};

/// A folder that is removed at the end of a test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("ww-fs-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn both() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true);
    options
}

/// Keeps all threads of the pool busy until it is dropped. A job that is queued meanwhile does not begin.
struct BusyPool(#[allow(dead_code, reason = "its drop ends the jobs")] mpsc::SyncSender<()>);

impl BusyPool {
    fn new() -> Self {
        let (sender, receiver) = mpsc::sync_channel::<()>(0);
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..THREADS_MAX {
            let receiver = receiver.clone();
            spawn(spawn_blocking(move || receiver.lock().unwrap().recv())).detach();
        }
        Self(sender)
    }
}

/// Begins a call and drops it while its job runs or waits for a thread.
async fn begin_and_drop<F: Future>(future: F) {
    let busy = BusyPool::new();
    assert!(poll_once(pin!(future)).await.is_none());
    drop(busy);
}

#[test]
fn a_function_of_the_module_does_what_its_counterpart_does() {
    run(async {
        let folder = Folder::new("whole");
        let (a, b) = (folder.path("a"), folder.path("b"));
        fs::write(&a, "water").await.unwrap();
        assert_eq!(fs::read(&a).await.unwrap(), b"water");
        assert_eq!(fs::copy(&a, &b).await.unwrap(), 5);
        fs::rename(&b, folder.path("c")).await.unwrap();
        assert_eq!(fs::read_to_string(folder.path("c")).await.unwrap(), "water");
        assert!(fs::metadata(&a).await.unwrap().is_file());
        std::os::unix::fs::symlink(&a, &b).unwrap();
        assert!(fs::symlink_metadata(&b).await.unwrap().is_symlink());
        assert_eq!(
            fs::canonicalize(&b).await.unwrap(),
            std::fs::canonicalize(&a).unwrap()
        );
        fs::create_dir(folder.path("d")).await.unwrap();
        fs::create_dir_all(folder.path("e/f/g")).await.unwrap();
        fs::remove_dir(folder.path("d")).await.unwrap();
        fs::remove_dir_all(folder.path("e")).await.unwrap();
        fs::remove_file(&a).await.unwrap();
        let missing = fs::read(&a).await.unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        assert_eq!(
            fs::read_to_string(&*folder.0).await.unwrap_err().kind(),
            io::ErrorKind::IsADirectory
        );
    });
}

#[test]
fn a_file_of_megabytes_is_written_and_read_in_pieces() {
    run(async {
        let folder = Folder::new("pieces");
        let sent: Vec<u8> = (0..3_000_000_u32)
            .map(|number| number.to_le_bytes()[1])
            .collect();
        let mut file = File::create(folder.path("a")).await.unwrap();
        for piece in sent.chunks(77_777) {
            file.write_all(piece).await.unwrap();
        }
        file.close().await.unwrap();
        let mut received = Vec::new();
        let mut file = File::open(folder.path("a")).await.unwrap();
        file.read_to_end(&mut received).await.unwrap();
        assert!(received == sent);
        assert_eq!(file.read(&mut [0; 8]).await.unwrap(), 0);
    });
}

/// A file that is dropped after a write and without a flush: the job has not begun, because all threads are busy.
#[test]
fn a_dropped_file_loses_no_accepted_byte() {
    run(async {
        let folder = Folder::new("dropped");
        let mut file = File::create(folder.path("a")).await.unwrap();
        let busy = BusyPool::new();
        file.write_all(b"accepted").await.unwrap();
        drop(file);
        assert_eq!(std::fs::read(folder.path("a")).unwrap(), b"");
        drop(busy);
        while fs::read(folder.path("a")).await.unwrap() != b"accepted" {
            sleep(Duration::from_millis(1)).await;
        }
    });
}

#[test]
fn the_end_of_the_runtime_loses_no_accepted_byte() {
    within_deadline(|| {
        let folder = Folder::new("end");
        let path = folder.path("a");
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            let mut file = File::create(&path).await.unwrap();
            let busy = BusyPool::new();
            file.write_all(b"accepted").await.unwrap();
            // The end of the runtime comes first, and then the end of the jobs.
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(50));
                drop(busy);
            });
        });
        drop(runtime);
        assert_eq!(std::fs::read(&path).unwrap(), b"accepted");
    });
}

#[test]
fn a_seek_follows_the_bytes_that_were_returned() {
    run(async {
        let folder = Folder::new("seek");
        let mut file = File::open_with(&both(), folder.path("a")).await.unwrap();
        file.write_all(b"0123456789").await.unwrap();
        assert_eq!(file.seek(SeekFrom::Start(2)).await.unwrap(), 2);
        let mut two = [0; 2];
        file.read_exact(&mut two).await.unwrap();
        assert_eq!(&two, b"23");
        assert_eq!(file.seek(SeekFrom::Current(1)).await.unwrap(), 5);
        assert_eq!(file.seek(SeekFrom::End(-1)).await.unwrap(), 9);
        let beyond = file.seek(SeekFrom::Current(-10)).await.unwrap_err();
        assert_eq!(beyond.kind(), io::ErrorKind::InvalidInput);
        file.read_exact(&mut two[..1]).await.unwrap();
        assert_eq!(&two[..1], b"9");
    });
}

/// The job of a dropped read goes on, and its bytes are the next ones, for each kind of call.
#[test]
fn a_dropped_read_moves_the_position_for_no_later_call() {
    run(async {
        let folder = Folder::new("ahead");
        let path = folder.path("a");
        let mut long = [0; 6];
        for after in ["read", "write", "seek", "into_std"] {
            std::fs::write(&path, "0123456789").unwrap();
            let mut options = both();
            let mut file = File::open_with(options.truncate(false), &path)
                .await
                .unwrap();
            begin_and_drop(file.read(&mut long)).await;
            match after {
                "read" => {
                    let mut text = String::new();
                    file.read_to_string(&mut text).await.unwrap();
                    assert_eq!(text, "0123456789");
                }
                "write" => {
                    file.write_all(b"ab").await.unwrap();
                    file.flush().await.unwrap();
                    assert_eq!(std::fs::read(&path).unwrap(), b"ab23456789");
                }
                "seek" => assert_eq!(file.seek(SeekFrom::Current(3)).await.unwrap(), 3),
                _ => {
                    let mut text = String::new();
                    let mut file = file.into_std().await.unwrap();
                    file.read_to_string(&mut text).unwrap();
                    assert_eq!(text, "0123456789");
                }
            }
        }
        // A part of the bytes is returned before the write.
        std::fs::write(&path, "0123456789").unwrap();
        let mut options = both();
        let mut file = File::open_with(options.truncate(false), &path)
            .await
            .unwrap();
        begin_and_drop(file.read(&mut long)).await;
        file.read_exact(&mut long[..2]).await.unwrap();
        file.write_all(b"ab").await.unwrap();
        file.close().await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"01ab456789");
    });
}

#[test]
fn a_seek_after_a_dropped_one_goes_to_its_own_place() {
    run(async {
        let folder = Folder::new("seeks");
        let mut file = File::open_with(&both(), folder.path("a")).await.unwrap();
        file.write_all(b"0123456789").await.unwrap();
        file.flush().await.unwrap();
        begin_and_drop(file.seek(SeekFrom::Start(7))).await;
        assert_eq!(file.seek(SeekFrom::Start(3)).await.unwrap(), 3);
        let mut rest = String::new();
        file.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "3456789");
    });
}

/// `/dev/full` accepts no byte: a disk without room.
#[test]
fn a_failed_write_is_reported_by_each_flush_and_not_forgotten() {
    run(async {
        let mut options = OpenOptions::new();
        let mut file = File::open_with(options.write(true), "/dev/full")
            .await
            .unwrap();
        assert_eq!(file.write(b"lost").await.unwrap(), 4);
        for _ in 0..3 {
            let error = file.flush().await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        }
        let error = file.write(b"more").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(file.sync_all().await.is_err());
        assert!(file.into_std().await.is_err());
    });
}

#[test]
fn a_file_that_is_opened_for_one_direction_refuses_the_other_one() {
    run(async {
        let folder = Folder::new("directions");
        let mut file = File::create(folder.path("a")).await.unwrap();
        assert!(file.read(&mut [0; 4]).await.is_err());
        let mut file = File::open(folder.path("a")).await.unwrap();
        file.write_all(b"x").await.unwrap();
        assert!(file.flush().await.is_err());
        // The read that follows a failed write reports it, too, and not the bytes that were to be written.
        assert!(file.read(&mut [0; 4]).await.is_err());
    });
}

#[test]
fn facts_and_lengths_include_all_accepted_bytes() {
    run(async {
        let folder = Folder::new("facts");
        let mut file = File::create(folder.path("a")).await.unwrap();
        file.write_all(b"water").await.unwrap();
        assert_eq!(file.metadata().await.unwrap().len(), 5);
        file.write_all(b"wheel").await.unwrap();
        file.set_len(7).await.unwrap();
        file.sync_data().await.unwrap();
        assert_eq!(std::fs::read(folder.path("a")).unwrap(), b"waterwh");
        let mut again = File::from_std(std::fs::File::open(folder.path("a")).unwrap());
        let mut text = String::new();
        again.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "waterwh");
    });
}

#[test]
fn a_pipe_can_be_used_as_a_file() {
    run(async {
        let (reader, writer) = io::pipe().unwrap();
        let mut reader = File::from_std(std::os::fd::OwnedFd::from(reader).into());
        let mut writer = File::from_std(std::os::fd::OwnedFd::from(writer).into());
        writer.write_all(b"through").await.unwrap();
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "through");
    });
}

#[test]
fn a_folder_of_hundreds_is_listed_once_also_if_calls_are_dropped() {
    run(async {
        let folder = Folder::new("list");
        for number in 0..200 {
            std::fs::write(folder.path(&number.to_string()), "").unwrap();
        }
        let mut entries = fs::read_dir(&*folder.0).await.unwrap();
        let mut names = Vec::new();
        loop {
            if let Some(entry) = poll_once(entries.next_entry()).await {
                names.extend(entry.unwrap().map(|entry| entry.file_name()));
            }
            let Some(entry) = entries.next_entry().await.unwrap() else {
                break;
            };
            names.push(entry.file_name());
        }
        assert_eq!(names.len(), 200);
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 200);
        let stream = fs::read_dir(&*folder.0).await.unwrap();
        assert_eq!(stream.count().await, 200);
        assert!(entries.next_entry().await.unwrap().is_none());
        assert!(fs::read_dir(folder.path("none")).await.is_err());
    });
}

#[test]
fn a_task_that_reads_a_file_in_small_pieces_lets_others_run() {
    run(async {
        let folder = Folder::new("fair");
        std::fs::write(folder.path("a"), vec![7; 100_000]).unwrap();
        let path = folder.path("a");
        let reader = spawn(async move {
            let mut file = File::open(path).await.unwrap();
            let mut buffer = vec![0; 100_000];
            begin_and_drop(file.read(&mut buffer)).await;
            for _ in 0..100_000 {
                file.read_exact(&mut [0]).await.unwrap();
            }
        });
        let mut turns = 0;
        while !reader.is_finished() {
            turns += 1;
            yield_now().await;
        }
        assert!(turns > 100, "{turns}");
    });
}

#[test]
fn a_seek_that_fails_after_a_dropped_read_moves_nothing() {
    run(async {
        let folder = Folder::new("failed-seek");
        let path = folder.path("a");
        std::fs::write(&path, "0123456789").unwrap();
        let mut long = [0; 6];
        for place in [
            SeekFrom::End(-1000),
            SeekFrom::Start(u64::MAX),
            SeekFrom::Current(-1000),
        ] {
            let mut file = File::open(&path).await.unwrap();
            file.read_exact(&mut long[..1]).await.unwrap();
            begin_and_drop(file.read(&mut long)).await;
            let error = file.seek(place).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{place:?}");
            let mut text = String::new();
            file.read_to_string(&mut text).await.unwrap();
            assert_eq!(text, "123456789", "{place:?}");
        }
        // A pipe has no position, so a seek fails and the bytes stay.
        let (reader, mut writer) = io::pipe().unwrap();
        io::Write::write_all(&mut writer, b"0123").unwrap();
        drop(writer);
        let mut file = File::from_std(std::os::fd::OwnedFd::from(reader).into());
        begin_and_drop(file.read(&mut long)).await;
        for place in [SeekFrom::Start(0), SeekFrom::Current(0)] {
            assert!(file.seek(place).await.is_err());
        }
        let mut text = String::new();
        file.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "0123");
    });
}

/// Another process may have made a shared pipe non-blocking, and a thread of the pool can wait for it.
#[test]
fn a_file_that_is_a_non_blocking_pipe_is_waited_for() {
    run(async {
        let (reader, writer) = io::pipe().unwrap();
        for end in [
            rustix::fd::AsFd::as_fd(&reader),
            rustix::fd::AsFd::as_fd(&writer),
        ] {
            rustix::io::ioctl_fionbio(end, true).unwrap();
        }
        let mut reader = File::from_std(std::os::fd::OwnedFd::from(reader).into());
        let mut writer = File::from_std(std::os::fd::OwnedFd::from(writer).into());
        let sent: Vec<u8> = (0..300_000u32)
            .map(|number| number.to_le_bytes()[0])
            .collect();
        let expected = sent.clone();
        let reading = spawn(async move {
            let mut all = Vec::new();
            reader.read_to_end(&mut all).await.unwrap();
            all
        });
        sleep(Duration::from_millis(2)).await;
        writer.write_all(&sent).await.unwrap();
        writer.flush().await.unwrap();
        drop(writer);
        assert!(reading.await.unwrap() == expected);
    });
}

#[test]
fn a_folder_that_is_removed_while_it_is_listed_ends_its_list() {
    run(async {
        let folder = Folder::new("removed");
        for number in 0..100 {
            std::fs::write(folder.path(&number.to_string()), "").unwrap();
        }
        let mut entries = fs::read_dir(&folder.0).await.unwrap();
        assert!(entries.next_entry().await.unwrap().is_some());
        std::fs::remove_dir_all(&folder.0).unwrap();
        while let Ok(Some(_)) = entries.next_entry().await {}
        assert!(entries.next_entry().await.unwrap().is_none());
    });
}
