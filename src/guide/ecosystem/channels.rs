use waterwheel::runtime::{block_on, spawn};

/// Between tasks, and between a thread and a task.
pub fn sum() -> u32 {
    let (sender, receiver) = async_channel::bounded(8);
    std::thread::spawn({
        let sender = sender.clone();
        move || sender.send_blocking(1)
    });
    block_on(async move {
        spawn(async move { sender.send(2).await }).detach();
        let mut sum = 0;
        while let Ok(number) = receiver.recv().await {
            sum += number;
        }
        sum
    })
}

/// The same with flume.
pub fn flume() -> u32 {
    let (sender, receiver) = flume::bounded(8);
    std::thread::spawn(move || sender.send(3));
    block_on(async move { receiver.recv_async().await.unwrap_or(0) })
}
